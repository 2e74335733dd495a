// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// hiredis, which knows no clusters: the program follows MOVED by itself; see scripts/clients.
#include <hiredis/hiredis.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;
using Context = std::unique_ptr<redisContext, decltype(&redisFree)>;

void demand(bool condition, const std::string& what) {
    if (condition) return;
    std::cerr << "not so: " << what << '\n';
    std::exit(1);
}

std::string setting(const char* name) {
    const char* value = std::getenv(name);
    demand(value != nullptr, std::string(name) + " is set");
    return value;
}

std::string text_of(const Reply& reply) {
    return reply != nullptr && reply->str != nullptr ? std::string(reply->str, reply->len) : "";
}

// A connection to one server.
class Client {
public:
    explicit Client(const std::string& address) : context_(nullptr, redisFree) {
        const auto colon = address.find(':');
        const timeval patience{.tv_sec = 5, .tv_usec = 0};
        context_.reset(redisConnectWithTimeout(address.substr(0, colon).c_str(),
                                               std::stoi(address.substr(colon + 1)), patience));
        if (!is_sound()) return;
        redisSetTimeout(context_.get(), patience);
        if (const std::string password = setting("KV_PASSWORD"); !password.empty()) {
            demand(text_of(call({"AUTH", setting("KV_USER"), password})) == "OK", "AUTH says OK");
        }
    }

    bool is_sound() const { return context_ != nullptr && context_->err == 0; }

    // Null if the connection is of no use any more.
    Reply call(const std::vector<std::string>& words) {
        append(words);
        return next();
    }
    void append(const std::vector<std::string>& words) {
        std::vector<const char*> starts;
        std::vector<std::size_t> sizes;
        for (const std::string& word : words) {
            starts.push_back(word.data());
            sizes.push_back(word.size());
        }
        redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), starts.data(),
                               sizes.data());
    }
    Reply next() {
        void* reply = nullptr;
        redisGetReply(context_.get(), &reply);
        return {static_cast<redisReply*>(reply), freeReplyObject};
    }

private:
    Context context_;
};

const std::string name = setting("KV_NAME");

void values(Client& client) {
    demand(text_of(client.call({"SET", name + ":a", "1"})) == "OK", "SET says OK");
    demand(text_of(client.call({"GET", name + ":a"})) == "1", "GET answers what was set");
    demand(client.call({"GET", name + ":none"})->type == REDIS_REPLY_NIL, "an absent key is nil");
    std::string binary = "\r\n$-1\r\n";
    for (int byte = 0; byte < 256; ++byte) binary.push_back(static_cast<char>(byte));
    client.call({"SET", name + ":" + binary, binary});
    demand(text_of(client.call({"GET", name + ":" + binary})) == binary, "any bytes are kept");
    const std::string large(2'000'000, 'x');
    client.call({"SET", name + ":large", large});
    demand(text_of(client.call({"GET", name + ":large"})) == large, "a large value comes back");
    client.call({"DEL", name + ":n"});
    for (int i = 1; i <= 100; ++i) client.append({"INCR", name + ":n"});
    for (int i = 1; i <= 100; ++i) {
        demand(client.next()->integer == i, "a pipeline answers in order");
    }
    const Reply error = client.call({"INCR", name + ":large"});
    demand(error->type == REDIS_REPLY_ERROR, "an error is one");
    demand(text_of(error) == "ERR value is not an integer or out of range",
           "an error has its text");
    client.call({"CLIENT", "SETNAME", "a-name"});
    demand(text_of(client.call({"CLIENT", "GETNAME"})) == "a-name", "a connection has its name");
    std::cout << "values, pipeline, errors: single" << std::endl;
}

void transaction(Client& client) {
    client.call({"DEL", name + ":t"});
    client.call({"MULTI"});
    demand(text_of(client.call({"INCR", name + ":t"})) == "QUEUED", "a transaction waits");
    client.call({"GET", name + ":a"});
    const Reply answers = client.call({"EXEC"});
    demand(answers->type == REDIS_REPLY_ARRAY && answers->elements == 2, "EXEC answers");
    demand(answers->element[0]->integer == 1, "a transaction counts");
    demand(std::string_view(answers->element[1]->str) == "1", "a transaction reads");
    std::cout << "transaction" << std::endl;
}

// Finds the leader, and stays with it for as long as it leads.
class Follower {
public:
    // Until the request is answered by a leader.
    Reply call(const std::vector<std::string>& words) {
        for (const std::time_t end = std::time(nullptr) + 30; std::time(nullptr) < end; pause()) {
            if (!client_.is_sound()) client_ = Client(next_node());
            if (!client_.is_sound()) continue;
            Reply reply = client_.call(words);
            if (reply == nullptr) continue;
            const std::string text = text_of(reply);
            if (reply->type != REDIS_REPLY_ERROR) return reply;
            // MOVED <slot> <host>:<port>
            const bool is_moved = text.starts_with("MOVED ");
            client_ = Client(is_moved ? text.substr(text.rfind(' ') + 1) : next_node());
        }
        demand(false, "a request is answered within 30 s");
        std::abort();
    }

private:
    static void pause() {
        const timespec moment{.tv_sec = 0, .tv_nsec = 20'000'000};
        nanosleep(&moment, nullptr);
    }
    std::string next_node() {
        std::size_t begin = 0;
        const std::string nodes = setting("KV_NODES");
        for (int i = node_++ % 3; i > 0; --i) begin = nodes.find(',', begin) + 1;
        return nodes.substr(begin, nodes.find(',', begin) - begin);
    }

    int node_ = 0;
    Client client_{setting("KV_LEADER")};
};

// Writes until told to stop; then all that was acknowledged has to be there.
void follow() {
    Follower client;
    int written = 0;
    for (; !std::filesystem::exists(setting("KV_STOP")); ++written) {
        client.call({"SET", name + ":follow:" + std::to_string(written), std::to_string(written)});
        std::cout << "acknowledged " << written + 1 << std::endl;
    }
    for (int number = 0; number < written; ++number) {
        const Reply reply = client.call({"GET", name + ":follow:" + std::to_string(number)});
        demand(text_of(reply) == std::to_string(number), "write " + std::to_string(number));
    }
}

}  // namespace

int main() {
    Client leader(setting("KV_LEADER"));
    demand(leader.is_sound(), "the leader can be reached");
    values(leader);
    transaction(leader);
    Client follower(setting("KV_FOLLOWER"));
    const Reply moved = follower.call({"SET", name, "x"});
    demand(moved->type == REDIS_REPLY_ERROR && text_of(moved).starts_with("MOVED 0 "),
           "a follower says where to go");
    follow();
    std::cout << "done" << std::endl;
}
