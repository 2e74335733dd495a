# Distributed under the Boost Software License, Version 1.0. See LICENSE.
#
# redis-rb, alone and as a cluster's client; see scripts/clients.
require "redis"

NAME = ENV.fetch("KV_NAME")
NODES = ENV.fetch("KV_NODES").split(",")
OPTIONS = ENV["KV_PASSWORD"].empty? ? {} : {username: ENV["KV_USER"], password: ENV["KV_PASSWORD"]}
LARGE = Random.bytes(2_000_000)

def say(what)
  puts what
  $stdout.flush
end

def demand(condition, what)
  abort "not so: #{what}" unless condition
end

def raises(kind, words)
  yield
rescue kind => error
  demand(error.message.include?(words), "'#{words}' in '#{error.message}'")
else
  demand(false, "#{kind} is raised")
end

def single(address, **options)
  host, port = address.split(":")
  Redis.new(host: host, port: port.to_i, **OPTIONS, **options)
end

# What any client, of one server or of a cluster, does with values.
def values(client, prefix)
  key = "#{NAME}:#{prefix}:"
  demand(client.set("#{key}a", "1") == "OK", "SET says so")
  demand(client.get("#{key}a") == "1", "GET answers what was set")
  demand(client.get("#{key}none").nil?, "an absent key is nil")
  demand(client.set("#{key}a", "2", nx: true) == false, "a condition that fails is false")
  binary = (0..255).to_a.pack("C*") + "\r\n$-1\r\n".b
  client.set("#{key}\0\r\n", binary)
  demand(client.get("#{key}\0\r\n").b == binary, "keys and values hold any bytes")
  client.set("#{key}large", LARGE)
  demand(client.get("#{key}large").b == LARGE, "a large value comes back")
  client.del("#{key}n")
  answers = client.pipelined { |pipeline| 100.times { pipeline.incr("#{key}n") } }
  demand(answers == (1..100).to_a, "a pipeline answers in order")
  client.set("#{key}word", "word")
  raises(Redis::CommandError, "not an integer") { client.incr("#{key}word") }
  raises(Redis::CommandError, "unknown command") { client.call(:none, key) }
  demand(client.del("#{key}a", "#{key}word") == 2, "DEL counts")
  say "values, pipeline, errors: #{prefix}"
end

def transaction(client)
  key = "#{NAME}:transaction:"
  client.del("#{key}n")
  answers = client.multi do |multi|
    multi.set("#{key}a", "1")
    multi.incr("#{key}n")
    multi.get("#{key}a")
  end
  demand(answers == ["OK", 1, "1"], "a transaction answers #{answers}")
  say "transaction"
end

# Each thread has its own, as connection_pool would give it one.
def pool
  wrong = (0...8).map do |thread|
    Thread.new do
      client = single(ENV["KV_LEADER"])
      (0...20).count do |number|
        client.set("#{NAME}:pool:#{thread}", number)
        client.get("#{NAME}:pool:#{thread}") != number.to_s
      end
    end
  end.sum(&:value)
  demand(wrong.zero?, "each thread reads what it wrote")
  say "pool"
end

# Writes until told to stop; then all that was acknowledged has to be there.
def follow(client)
  written = 0
  until File.exist?(ENV["KV_STOP"])
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 30
    begin
      client.set("#{NAME}:follow:#{written}", written)
    rescue Redis::BaseError => error
      demand(Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline,
             "a write is done within 30 s: #{error.inspect}")
      sleep 0.02
      retry
    end
    written += 1
    say "acknowledged #{written}"
  end
  written.times do |number|
    demand(client.get("#{NAME}:follow:#{number}") == number.to_s, "write #{number} is there")
  end
end

leader = single(ENV["KV_LEADER"], id: "a-name")
values(leader, "single")
transaction(leader)
pool
demand(leader.call(:client, :getname) == "a-name", "a connection has its name")
demand(leader.info["redis_mode"] == "cluster", "INFO is parsed")
raises(Redis::CommandError, "MOVED") { single(ENV["KV_FOLLOWER"]).set(NAME, "x") }
unless OPTIONS.empty?
  raises(Redis::CommandError, "WRONGPASS") do
    single(ENV["KV_LEADER"], password: "wrong").ping
  end
end
cluster = Redis.new(cluster: NODES.map { |node| "redis://#{node}" }, **OPTIONS)
values(cluster, "cluster")
transaction(cluster)
follow(cluster)
say "done"
