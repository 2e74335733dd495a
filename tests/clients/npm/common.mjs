// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the programs of Node's clients share; see scripts/clients.
import {randomBytes} from 'node:crypto';
import {existsSync, readFileSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';

export const env = process.env;
export const name = env.KV_NAME;
export const nodes = env.KV_NODES.split(',').map(split);
export const leader = split(env.KV_LEADER);
export const follower = split(env.KV_FOLLOWER);
export const tls = env.KV_CA && {
    ca: readFileSync(env.KV_CA),
    cert: readFileSync(env.KV_CERT),
    key: readFileSync(env.KV_KEY),
};
export const large = randomBytes(2_000_000);
export const binary = Buffer.concat([Buffer.from([...Array(256).keys()]), Buffer.from('\r\n$-1\r\n')]);

function split(address) {
    const [host, port] = address.split(':');
    return {host, port: Number(port)};
}

export function say(what) {
    process.stdout.write(what + '\n');
}

export function demand(condition, what) {
    if (!condition) throw new Error('not so: ' + what);
}

export async function rejects(kind, words, promise) {
    try {
        await promise;
    } catch (error) {
        demand(error instanceof kind, `${kind.name} is thrown, not ${error.constructor.name}: ${error}`);
        demand(error.message.includes(words), `'${words}' in '${error.message}'`);
        return;
    }
    demand(false, `${kind.name} is thrown`);
}

/** Writes until told to stop; then all that was acknowledged has to be there. */
export async function follow(set, get) {
    let written = 0;
    for (; !existsSync(env.KV_STOP); ++written) {
        const deadline = Date.now() + 30_000;
        for (;;) {
            try {
                await set(`${name}:follow:${written}`, String(written));
                break;
            } catch (error) {
                demand(Date.now() < deadline, `a write is done within 30 s: ${error.stack}`);
                await pause(20);
            }
        }
        say(`acknowledged ${written + 1}`);
    }
    for (let number = 0; number < written; ++number) {
        const value = await get(`${name}:follow:${number}`);
        demand(value === String(number), `write ${number} is there, not ${value}`);
    }
}
