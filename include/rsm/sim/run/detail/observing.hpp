// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What the simulator does with a state machine, an operation or a result beside running it: write
// it, take its digest, put it into words.
#ifndef RSM_SIM_RUN_DETAIL_OBSERVING_HPP
#define RSM_SIM_RUN_DETAIL_OBSERVING_HPP

#include <raft/base/digest.hpp>
#include <raft/base/stream.hpp>
#include <raft/proof/state_digest.hpp>
#include <rsm/archive.hpp>
#include <rsm/node/saved_state.hpp>
#include <rsm/state_machine.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace rsm::inline v0::sim::detail {

class DigestSink final : public raft::ByteSink {
public:
    void write(std::span<const std::byte> bytes) override { digest.add(bytes); }
    raft::Digest digest;
};

/// Of anything that an archive can carry.
template <class T>
std::uint64_t digest_of(BufferWriter& scratch, const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        return static_cast<std::uint64_t>(value);
    } else {
        scratch.clear();
        scratch << value;
        raft::Digest digest;
        digest.add(scratch.view());
        return digest.value();
    }
}

/// A machine may say itself what its state amounts to, where equal states may be written in
/// different ways.
template <class Machine>
std::uint64_t state_digest(const Machine& machine) {
    if constexpr (requires {
                      { machine.digest() } -> std::convertible_to<std::uint64_t>;
                  }) {
        return machine.digest();
    } else {
        DigestSink sink;
        rsm::detail::write_state(sink, machine);
        return sink.digest.value();
    }
}

/// As in rsm::detail::write_state and read_state, within a snapshot that begins with other things.
template <class State>
void write_machine(SnapshotWriter& out, const State& state) {
    if constexpr (requires { state.snapshot(out); }) {
        state.snapshot(out);
    } else {
        out << state;
    }
}
template <class Machine>
void read_machine(SnapshotReader& in, Machine& machine) {
    if constexpr (SnapshotsByHand<Machine>) {
        machine.restore(in);
    } else {
        in >> machine;
    }
}

inline std::string describe_bytes(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr std::size_t most = 24;
    std::string text = std::to_string(bytes.size()) + (bytes.size() == 1 ? " byte" : " bytes");
    if (!bytes.empty()) text += ":";
    for (const std::byte byte : bytes.first(std::min(most, bytes.size()))) {
        const auto value = std::to_integer<unsigned>(byte);
        text += ' ';
        text += digits[value >> 4U];
        text += digits[value & 0xfU];
    }
    return text + (bytes.size() > most ? " ..." : "");
}

/// Numbers and texts as they are, anything else by its bytes.
template <class T>
std::string describe(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        return value ? "true" : "false";
    } else if constexpr (std::is_same_v<T, std::monostate>) {
        return {};
    } else if constexpr (std::is_enum_v<T>) {
        return std::to_string(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
        return std::to_string(value);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        return '"' + std::string(std::string_view(value)) + '"';
    } else {
        BufferWriter bytes;
        bytes << value;
        return describe_bytes(bytes.view());
    }
}

}  // namespace rsm::sim::detail

#endif
