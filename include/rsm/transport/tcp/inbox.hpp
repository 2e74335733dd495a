// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Received bytes to messages, in place: a message's payloads are slices of the receive buffer.
#ifndef RSM_TRANSPORT_TCP_INBOX_HPP
#define RSM_TRANSPORT_TCP_INBOX_HPP

#include <raft/base/bytes.hpp>
#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/detail/checksum.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/frame.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

namespace rsm::inline v0::detail {

/// The receive buffer of one connection.
///
/// The buffer is [shared | parsed | partial frame | free]. Bytes below `floor_` belong to messages
/// that were handed out and are never written again; messages without payload hold no bytes, so
/// the room of heartbeats and replies is used again, and a small payload that is kept for long
/// does not pin a buffer that is filled with them. When a frame does not fit, its beginning moves
/// to a new buffer.
///
/// Memory: a new buffer is never larger than TcpBuffers::first_receive_bytes, or what this
/// connection has delivered before, or twice the part of the frame that is here; the announced
/// length alone allocates nothing.
class Inbox {
public:
    enum class Status : std::uint8_t {
        message,
        incomplete,
        // The connection is of no use after these:
        too_long,  ///< the frame
        unknown,   ///< its kind, or its version is not the one that was agreed
        damaged,   ///< its checksum is wrong
        invalid,   ///< it holds no message
    };

    /// @pre the sizes are in their ranges
    explicit Inbox(std::size_t max_frame_bytes, const TcpBuffers& sizes = {})
        : max_frame_bytes_(max_frame_bytes), sizes_(sizes) {}

    /// The version of all frames that come. @pre none has come yet
    void speak(std::uint8_t version) { version_ = version; }

    /// Where the next bytes go; never empty. @pre next() has said incomplete (or nothing came yet)
    std::span<std::byte> free_space() {
        make_room();
        return buffer_.writable().subspan(end_);
    }
    /// `count` bytes were written to the front of free_space().
    void received(std::size_t count) {
        end_ += count;
        received_ += count;
    }

    /// Takes the next message into `message`.
    Status next(raft::Message& message) {
        const std::size_t here = end_ - begin_;
        if (here < frame_header_bytes) return Status::incomplete;
        const FrameHeader header = load_frame_header(buffer_.data() + begin_);
        if (!header.known(version_)) return Status::unknown;
        if (header.length() > max_frame_bytes_) return Status::too_long;
        if (here - frame_header_bytes < header.length()) return Status::incomplete;

        const raft::Bytes body = buffer_.share(begin_ + frame_header_bytes, header.length());
        if (checksum(body.view(), header.word) != header.checksum) return Status::damaged;
        std::optional<raft::Message> decoded = raft::codec::decode_message(body);
        if (!decoded || !raft::codec::is_known_in(version_, *decoded)) return Status::invalid;
        begin_ += frame_header_bytes + header.length();
        if (raft::codec::holds_payload(*decoded)) floor_ = begin_;
        message = std::move(*decoded);
        return Status::message;
    }

    std::size_t buffer_size() const { return buffer_.size(); }

private:
    void make_room() {
        if (begin_ == end_) begin_ = end_ = floor_;
        const std::size_t here = end_ - begin_;
        const bool has_header = here >= frame_header_bytes;
        const std::size_t frame =
            frame_header_bytes +
            (has_header ? load_frame_header(buffer_.data() + begin_).length() : 0);
        if (begin_ + frame <= buffer_.size()) {
            // Reads into a small rest would be many and short; without a header next to nothing
            // has to move.
            if (has_header || buffer_.size() - end_ >= sizes_.smallest_read_bytes) return;
        } else if (begin_ == 0 && end_ < buffer_.size()) {
            return;  // it will not fit, but what has arrived does not justify more yet
        }
        move_to(std::max(base_size(), std::min(frame, 2 * here)));
    }

    /// Large traffic earns large buffers: fewer frames then straddle two of them.
    std::size_t base_size() const {
        return std::clamp(std::bit_floor(received_), sizes_.first_receive_bytes,
                          sizes_.largest_receive_bytes);
    }

    void move_to(std::size_t size) {
        raft::Buffer larger(size);
        const std::size_t here = end_ - begin_;
        if (here != 0) std::memcpy(larger.data(), buffer_.data() + begin_, here);
        buffer_ = std::move(larger);
        begin_ = 0;
        end_ = here;
        floor_ = 0;
    }

    std::size_t max_frame_bytes_;
    std::uint8_t version_ = raft::codec::format_version;
    TcpBuffers sizes_;
    raft::Buffer buffer_;
    std::size_t floor_ = 0;     ///< floor_ <= begin_
    std::size_t begin_ = 0;     ///< begin_ <= end_: the first byte that is not parsed
    std::size_t end_ = 0;       ///< end_ <= buffer_.size()
    std::size_t received_ = 0;  ///< by this connection so far
};

}  // namespace rsm::detail

#endif
