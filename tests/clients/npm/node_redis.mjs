// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// node-redis, alone, as a pool and as a cluster's client; see scripts/clients.
import {createClient, createClientPool, createCluster, ErrorReply, RESP_TYPES} from 'redis';
import {binary, demand, env, follow, follower, large, leader, name, nodes, rejects, say, tls} from './common.mjs';

const auth = env.KV_PASSWORD ? {username: env.KV_USER, password: env.KV_PASSWORD} : {};
const security = tls ? {tls: true, ...tls} : {};

function options(address, protocol) {
    return {socket: {...address, ...security}, RESP: protocol, ...auth};
}

async function single(address, protocol = 3, more = {}) {
    const client = createClient({...options(address, protocol), ...more});
    client.on('error', () => {});  // told by the commands
    return client.connect();
}

/** What any client, of one server or of a cluster, does with values. */
async function values(client, prefix) {
    const key = `${name}:${prefix}:`;
    demand(await client.set(key + 'a', '1') === 'OK', 'SET says OK');
    demand(await client.get(key + 'a') === '1', 'GET answers what was set');
    demand(await client.get(key + 'none') === null, 'an absent key is null');
    demand(await client.set(key + 'a', '2', {condition: 'NX'}) === null, 'a failed condition is null');
    const bytes = client.withTypeMapping({[RESP_TYPES.BLOB_STRING]: Buffer});
    for (const [which, value] of [['\0\r\n', binary], ['large', large]]) {
        await client.set(key + which, value);
        demand(value.equals(await bytes.get(key + which)), 'any bytes come back');
    }
    await client.del(key + 'n');
    const answers = await Promise.all(Array.from({length: 100}, () => client.incr(key + 'n')));
    demand(answers.every((answer, index) => answer === index + 1), 'a pipeline answers in order');
    await client.set(key + 'word', 'word');
    await rejects(ErrorReply, 'not an integer', client.incr(key + 'word'));
    await client.del(key + 't');
    const all = await client.multi().set(key + 't', '1').incr(key + 't').get(key + 't').exec();
    demand(JSON.stringify(all) === '["OK",2,"2"]', `a transaction answers ${all}`);
    say('transaction: ' + prefix);
    say('values, pipeline, errors: ' + prefix);
}

for (const protocol of [2, 3]) {
    const client = await single(leader, protocol, {name: 'a-name'});
    await values(client, `single, RESP${protocol}`);
    demand(await client.clientGetName() === 'a-name', 'a connection has its name');
    await rejects(ErrorReply, 'unknown command', client.sendCommand(['NONE']));
    client.destroy();
}
const pool = await createClientPool(options(leader, 3)).connect();
const counts = await Promise.all(Array.from({length: 200}, () => pool.incr(`${name}:pool`)));
demand(new Set(counts).size === 200, 'each connection of a pool counts');
pool.destroy();
say('pool');
const other = await single(follower);
await rejects(ErrorReply, 'MOVED 0 ', other.set(name, 'x'));
other.destroy();
if (env.KV_PASSWORD) {
    // It tries again for ever, otherwise.
    const once = {socket: {...leader, ...security, reconnectStrategy: false}};
    await rejects(ErrorReply, 'WRONGPASS', single(leader, 3, {password: 'wrong', ...once}));
}

for (const protocol of [2, 3]) {
    const cluster = createCluster({
        rootNodes: nodes.map((node) => ({socket: {...node, ...security}})),
        defaults: {RESP: protocol, ...auth, socket: security},
    });
    cluster.on('error', () => {});
    await cluster.connect();
    await values(cluster, `cluster, RESP${protocol}`);
    if (protocol === 3) {
        await follow((key, value) => cluster.set(key, value), (key) => cluster.get(key));
    }
    cluster.destroy();
}
say('done');
