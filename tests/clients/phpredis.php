<?php
// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// phpredis, alone and as a cluster's client; see scripts/clients.
declare(strict_types=1);

$name = getenv('KV_NAME');
$auth = getenv('KV_PASSWORD') === '' ? null : [getenv('KV_USER'), getenv('KV_PASSWORD')];
$nodes = explode(',', getenv('KV_NODES'));
$large = random_bytes(2_000_000);

function say(string $what): void
{
    fwrite(STDOUT, $what . "\n");
}

function demand(bool $condition, string $what): void
{
    if (!$condition) {
        fwrite(STDERR, "not so: $what\n");
        exit(1);
    }
}

function raises(string $kind, string $words, callable $action): void
{
    try {
        $action();
    } catch (Throwable $error) {
        demand($error instanceof $kind, "$kind is thrown, not " . get_class($error));
        demand(str_contains($error->getMessage(), $words), "'$words' in '{$error->getMessage()}'");
        return;
    }
    demand(false, "$kind is thrown");
}

function single(string $address, $auth, bool $persistent = false): Redis
{
    [$host, $port] = explode(':', $address);
    $client = new Redis();
    $persistent ? $client->pconnect($host, (int)$port, 5.0) : $client->connect($host, (int)$port, 5.0);
    if ($auth !== null) {
        $client->auth($auth);
    }
    return $client;
}

// What any client, of one server or of a cluster, does with values. It tells errors of commands by
// false and getLastError().
function values(Redis|RedisCluster $client, string $prefix): void
{
    global $name, $large;
    $key = "$name:$prefix:";
    demand($client->set("{$key}a", '1') === true, 'SET says so');
    demand($client->get("{$key}a") === '1', 'GET answers what was set');
    demand($client->get("{$key}none") === false, 'an absent key is false');
    demand($client->set("{$key}a", '2', ['nx']) === false, 'a condition that fails is false');
    $binary = implode('', array_map('chr', range(0, 255))) . "\r\n$-1\r\n";
    $client->set("$key\0\r\n", $binary);
    demand($client->get("$key\0\r\n") === $binary, 'keys and values hold any bytes');
    $client->set("{$key}large", $large);
    demand($client->get("{$key}large") === $large, 'a large value comes back');
    $client->set("{$key}word", 'word');
    $client->clearLastError();
    demand($client->incr("{$key}word") === false, 'an error is false');
    demand(str_contains($client->getLastError(), 'not an integer'), 'an error has its text');
    demand($client->del("{$key}a", "{$key}word") === 2, 'DEL counts');
    say("values, errors: $prefix");
}

function pipeline(Redis $client): void
{
    global $name;
    $client->del("$name:n");
    $pipeline = $client->pipeline();
    for ($i = 0; $i < 100; ++$i) {
        $pipeline->incr("$name:n");
    }
    demand($pipeline->exec() === range(1, 100), 'a pipeline answers in order');
    say('pipeline');
}

function transaction(Redis|RedisCluster $client): void
{
    global $name;
    $client->del("$name:t");
    $answers = $client->multi()->set("$name:a", '1')->incr("$name:t")->get("$name:a")->exec();
    demand($answers === [true, 1, '1'], 'a transaction answers ' . json_encode($answers));
    say('transaction');
}

function cluster(): RedisCluster
{
    global $auth, $nodes;
    return new RedisCluster(null, $nodes, 5.0, 5.0, false, $auth);
}

// Writes until told to stop; then all that was acknowledged has to be there. A RedisCluster whose
// masters are all dead does not ask the others who leads now: a new one does.
function follow(?RedisCluster $client): void
{
    global $name;
    for ($written = 0; !file_exists(getenv('KV_STOP')); clearstatcache()) {
        $deadline = microtime(true) + 30;
        while (true) {
            try {
                $client ??= cluster();
                if ($client->set("$name:follow:$written", (string)$written) === true) {
                    break;
                }
                $said = $client->getLastError();
            } catch (RedisClusterException $error) {
                $client = null;
                $said = $error->getMessage();
            }
            demand(microtime(true) < $deadline, "a write is done within 30 s: $said");
            usleep(20_000);
        }
        ++$written;
        say("acknowledged $written");
    }
    for ($number = 0; $number < $written; ++$number) {
        demand($client->get("$name:follow:$number") === (string)$number, "write $number is there");
    }
}

$leader = single(getenv('KV_LEADER'), $auth);
values($leader, 'single');
pipeline($leader);
transaction($leader);
demand($leader->client('setname', 'a-name') === true, 'a name is taken');
demand($leader->client('getname') === 'a-name', 'a connection has its name');
demand($leader->info()['redis_mode'] === 'cluster', 'INFO is parsed');
for ($i = 0; $i < 3; ++$i) {
    demand(single(getenv('KV_LEADER'), $auth, true)->ping() === true, 'persistent connections');
}
$follower = single(getenv('KV_FOLLOWER'), $auth);
raises('RedisException', 'MOVED 0 ', fn() => $follower->set($name, 'x'));
if ($auth !== null) {
    raises('RedisException', 'WRONGPASS', fn() => single(getenv('KV_LEADER'), ['ann', 'wrong'])->ping());
}
$cluster = cluster();
values($cluster, 'cluster');
transaction($cluster);
follow($cluster);
say('done');
