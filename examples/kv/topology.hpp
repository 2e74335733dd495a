// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The group of replicas, shown as a Redis cluster, so that clients that know clusters find the
// leader by themselves: one shard that owns all slots, the leader as its master, the others as its
// replicas. The formats are those of Redis 7 (https://redis.io/docs/reference/cluster-spec).
#ifndef RSM_EXAMPLES_KV_TOPOLOGY_HPP
#define RSM_EXAMPLES_KV_TOPOLOGY_HPP

#include "reply_writer.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

inline constexpr std::uint32_t slot_count = 16384;

/// One replica, as clients see it.
struct TopologyNode {
    std::uint64_t id = 0;
    std::string host;        ///< where clients connect
    std::uint16_t port = 0;  ///< where clients connect
    bool is_leader = false;  ///< of at most one node
    bool connected = true;   ///< as far as this node knows; itself always
};

struct Topology {
    std::uint64_t self = 0;  ///< id of the node that answers
    std::uint64_t term = 0;  ///< shown as the epoch of the cluster
    std::vector<TopologyNode> nodes;

    /// Null if no leader is known.
    const TopologyNode* leader() const noexcept {
        for (const TopologyNode& node : nodes) {
            if (node.is_leader) {
                return &node;
            }
        }
        return nullptr;
    }
};

/// The questions about the cluster that a Topology answers.
enum class ClusterQuery : std::uint8_t { slots, shards, nodes, info, my_id };

/// A node's name: 40 hexadecimal digits, as Redis has them.
inline std::string node_name(std::uint64_t id) {
    std::string name(40, '0');
    for (std::size_t i = name.size(); id != 0; id >>= 4) {
        name[--i] = "0123456789abcdef"[id & 15];
    }
    return name;
}

namespace detail {

// CRC-16/XMODEM: polynomial 0x1021, most significant bit first, from 0.
constexpr std::array<std::uint16_t, 256> make_crc16_table() {
    std::array<std::uint16_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte << 8;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
        }
        table[byte] = static_cast<std::uint16_t>(crc);
    }
    return table;
}

inline constexpr std::array<std::uint16_t, 256> crc16_table = make_crc16_table();

inline constexpr std::string_view no_leader_text = "CLUSTERDOWN The cluster has no leader";

inline std::string address(const TopologyNode& node) {
    return node.host + ':' + std::to_string(node.port);
}

}  // namespace detail

/// The slot of a key. If it has braces with something between, only that is hashed.
inline std::uint32_t key_slot(std::string_view key) noexcept {
    const std::size_t open = key.find('{');
    if (open != std::string_view::npos) {
        const std::size_t close = key.find('}', open + 1);
        if (close != std::string_view::npos && close != open + 1) {
            key = key.substr(open + 1, close - open - 1);
        }
    }
    std::uint32_t crc = 0;
    for (const char c : key) {
        const std::uint32_t byte = static_cast<unsigned char>(c);
        crc = ((crc << 8) & 0xffff) ^ detail::crc16_table[(crc >> 8) ^ byte];
    }
    return crc % slot_count;
}

/// The error that sends a client to the leader. There is one shard, so the slot does not matter and
/// is always 0; a client that learns from the error asks for the slots anew.
inline void write_redirect(const Topology& topology, std::string& out) {
    const TopologyNode* leader = topology.leader();
    if (leader == nullptr) {
        ReplyWriter(out).error(detail::no_leader_text);
    } else {
        ReplyWriter(out).error("MOVED 0 " + detail::address(*leader));
    }
}

namespace detail {

// As in Redis, a replica that cannot be reached is left out. An empty map would be believed:
// clients ask the next node after an error, but forget all that they knew after an empty map.
inline void write_slots(const Topology& topology, ReplyWriter& reply) {
    const TopologyNode* leader = topology.leader();
    if (leader == nullptr) return reply.error(no_leader_text);
    std::vector<const TopologyNode*> shown{leader};
    for (const TopologyNode& node : topology.nodes) {
        if (&node != leader && node.connected) {
            shown.push_back(&node);
        }
    }
    reply.array(1);
    reply.array(2 + shown.size());
    reply.integer(0);
    reply.integer(slot_count - 1);
    // Redis 7 has further names of the host in a fourth place, where clients look if there is one.
    // Older ones take only three.
    for (const TopologyNode* node : shown) {
        reply.array(3);
        reply.bulk(node->host);
        reply.integer(node->port);
        reply.bulk(node_name(node->id));
    }
}

inline void write_shards(const Topology& topology, ReplyWriter& reply) {
    if (topology.leader() == nullptr) return reply.error(no_leader_text);
    reply.array(1);
    reply.map(2);
    reply.bulk("slots");
    reply.array(2);
    reply.integer(0);
    reply.integer(slot_count - 1);
    reply.bulk("nodes");
    reply.array(topology.nodes.size());
    for (const TopologyNode& node : topology.nodes) {
        reply.map(7);
        reply.bulk("id");
        reply.bulk(node_name(node.id));
        reply.bulk("port");
        reply.integer(node.port);
        reply.bulk("ip");
        reply.bulk(node.host);
        reply.bulk("endpoint");
        reply.bulk(node.host);
        reply.bulk("role");
        reply.bulk(&node == topology.leader() ? "master" : "replica");
        reply.bulk("replication-offset");
        reply.integer(0);
        reply.bulk("health");
        reply.bulk(node.connected ? "online" : "failed");
    }
}

// <id> <host>:<port>@<bus port> <flags> <master> <ping sent> <pong received> <epoch> <link> <slots>
inline void write_nodes(const Topology& topology, ReplyWriter& reply) {
    const TopologyNode* leader = topology.leader();
    std::string text;
    for (const TopologyNode& node : topology.nodes) {
        const bool is_master = &node == leader;
        text += node_name(node.id) + ' ' + address(node) + "@0 ";
        text += node.id == topology.self ? "myself," : "";
        text += is_master ? "master" : "slave";
        text += node.connected ? " " : ",fail? ";
        text += is_master || leader == nullptr ? "-" : node_name(leader->id);
        text += " 0 0 " + std::to_string(topology.term);
        text += node.connected ? " connected" : " disconnected";
        text += is_master ? " 0-" + std::to_string(slot_count - 1) : "";
        text += '\n';
    }
    reply.text(text);
}

inline void write_cluster_info(const Topology& topology, ReplyWriter& reply) {
    const bool is_up = topology.leader() != nullptr;
    const std::string slots = std::to_string(is_up ? slot_count : 0);
    const std::string term = std::to_string(topology.term);
    std::string text = "cluster_enabled:1\r\n";
    text += is_up ? "cluster_state:ok\r\n" : "cluster_state:fail\r\n";
    text += "cluster_slots_assigned:" + slots + "\r\ncluster_slots_ok:" + slots + "\r\n";
    text += "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n";
    text += "cluster_known_nodes:" + std::to_string(topology.nodes.size()) + "\r\n";
    text += is_up ? "cluster_size:1\r\n" : "cluster_size:0\r\n";
    text += "cluster_current_epoch:" + term + "\r\ncluster_my_epoch:" + term + "\r\n";
    reply.text(text);
}

}  // namespace detail

/// Appends the reply to a question about the cluster.
inline void answer(ClusterQuery query, const Topology& topology, std::string& out,
                   Protocol protocol = Protocol::resp2) {
    ReplyWriter reply(out, protocol);
    switch (query) {
        case ClusterQuery::slots: detail::write_slots(topology, reply); break;
        case ClusterQuery::shards: detail::write_shards(topology, reply); break;
        case ClusterQuery::nodes: detail::write_nodes(topology, reply); break;
        case ClusterQuery::info: detail::write_cluster_info(topology, reply); break;
        case ClusterQuery::my_id: reply.bulk(node_name(topology.self)); break;
    }
}

}  // namespace kv

#endif
