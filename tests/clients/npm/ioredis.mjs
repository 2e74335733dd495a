// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// ioredis, alone and as a cluster's client; see scripts/clients.
import {Cluster, Redis, ReplyError} from 'ioredis';
import {binary, demand, env, follow, follower, large, leader, name, nodes, rejects, say} from './common.mjs';

const auth = env.KV_PASSWORD ? {username: env.KV_USER, password: env.KV_PASSWORD} : {};

function single(address, more = {}) {
    const client = new Redis({...address, ...auth, ...more});
    client.on('error', () => {});  // told by the commands
    return client;
}

/** What any client, of one server or of a cluster, does with values. */
async function values(client, prefix) {
    const key = `${name}:${prefix}:`;
    demand(await client.set(key + 'a', '1') === 'OK', 'SET says OK');
    demand(await client.get(key + 'a') === '1', 'GET answers what was set');
    demand(await client.get(key + 'none') === null, 'an absent key is null');
    demand(await client.set(key + 'a', '2', 'NX') === null, 'a failed condition is null');
    for (const [which, value] of [['\0\r\n', binary], ['large', large]]) {
        await client.set(key + which, value);
        demand(value.equals(await client.getBuffer(key + which)), 'any bytes come back');
    }
    await client.del(key + 'n');
    const pipeline = client.pipeline();
    for (let i = 0; i < 100; ++i) pipeline.incr(key + 'n');
    const answers = await pipeline.exec();
    demand(answers.every(([error, answer], index) => !error && answer === index + 1), 'a pipeline');
    await client.set(key + 'word', 'word');
    await rejects(ReplyError, 'not an integer', client.incr(key + 'word'));
    await client.del(key + 't');
    const all = await client.multi().set(key + 't', '1').incr(key + 't').get(key + 't').exec();
    demand(JSON.stringify(all) === '[[null,"OK"],[null,2],[null,"2"]]', 'a transaction answers');
    say('transaction: ' + prefix);
    say('values, pipeline, errors: ' + prefix);
}

const client = single(leader, {connectionName: 'a-name'});
await values(client, 'single');
demand(await client.client('GETNAME') === 'a-name', 'a connection has its name');
await rejects(ReplyError, 'unknown command', client.call('NONE'));
client.disconnect();
const other = single(follower);
await rejects(ReplyError, 'MOVED 0 ', other.set(name, 'x'));
other.disconnect();
if (env.KV_PASSWORD) {
    const wrong = single(leader, {password: 'wrong'});
    await rejects(ReplyError, 'WRONGPASS', wrong.get(name));
    wrong.disconnect();
}
const cluster = new Cluster(nodes, {redisOptions: auth});
await values(cluster, 'cluster');
await follow((key, value) => cluster.set(key, value), (key) => cluster.get(key));
cluster.disconnect();
say('done');
