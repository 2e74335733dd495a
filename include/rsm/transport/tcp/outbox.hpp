// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// What waits to be written to one peer.
#ifndef RSM_TRANSPORT_TCP_OUTBOX_HPP
#define RSM_TRANSPORT_TCP_OUTBOX_HPP

#include <raft/protocol/codec.hpp>
#include <raft/protocol/message.hpp>
#include <rsm/transport/tcp_options.hpp>
#include <rsm/transport/wire/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <variant>

namespace rsm::inline v0::detail {

/// Frames that are written together.
struct Batch {
    raft::codec::Gather frames;
    std::uint64_t messages = 0;

    /// Forgets the content. The memory is kept for the next batch, unless a burst made it larger
    /// than that.
    void clear(std::size_t kept_bytes) {
        if (frames.copied().size() > kept_bytes) frames = raft::codec::Gather{};
        frames.clear();
        messages = 0;
    }
};

/// Two lanes with one bound in bytes. Messages are encoded when they arrive, into the batch that
/// goes next. Snapshot chunks wait as they are, and every batch ends with at most one of them: any
/// other message therefore waits for one chunk at most, and a steady flow of messages still lets
/// the snapshot through.
///
/// Payloads from Gather::reference_bytes on are not copied but shared with the log. The bound
/// counts them like the rest, although it does not know whether they keep a larger block alive.
class Outbox {
public:
    Outbox(std::size_t queue_bytes, std::size_t max_frame_bytes,
           std::size_t kept_batch_bytes = TcpBuffers{}.kept_batch_bytes)
        : queue_bytes_(queue_bytes),
          max_frame_bytes_(max_frame_bytes),
          kept_batch_bytes_(kept_batch_bytes) {}

    /// The version of what is pushed from now on. @pre empty()
    void speak(std::uint8_t version) { version_ = version; }
    std::uint8_t version() const { return version_; }

    bool empty() const { return next_.messages == 0 && chunks_.empty(); }
    /// Encoded, with framing; the batch that take() gave away counts until finish() or
    /// clear().
    std::size_t bytes() const { return next_.frames.size() + chunk_bytes_ + taken_bytes_; }
    std::uint64_t messages() const { return next_.messages + chunks_.size(); }

    /// False: it does not fit, or the peer would not take so large a frame or does not know
    /// messages of its kind, and it is dropped.
    bool push(raft::Message message) {
        if (!raft::codec::is_known_in(version_, message)) return false;
        const std::size_t size = frame_header_bytes + raft::codec::encoded_size(message);
        if (size - frame_header_bytes > max_frame_bytes_) return false;
        if (bytes() != 0 && bytes() + size > queue_bytes_) return false;
        if (!raft::is_piece(message.body)) {
            put_frame(next_.frames, message, version_);
            ++next_.messages;
            return true;
        }
        if (chunk_bytes_ != 0 && chunk_bytes_ + size > queue_bytes_ / 2) return false;
        chunk_bytes_ += size;
        chunks_.push_back(std::move(message));
        return true;
    }

    /// Fills `batch`, which is empty, with what goes next.
    void take(Batch& batch) {
        std::swap(batch, next_);
        if (!chunks_.empty()) {
            put_frame(batch.frames, chunks_.front(), version_);
            ++batch.messages;
            chunk_bytes_ -= frame_header_bytes + raft::codec::encoded_size(chunks_.front());
            chunks_.pop_front();
        }
        taken_bytes_ = batch.frames.size();
    }

    /// The batch from take() has been written.
    void finish(Batch& batch) {
        batch.clear(kept_batch_bytes_);
        taken_bytes_ = 0;
    }

    /// The batch from take() is lost; what waits is not.
    void abandon() { taken_bytes_ = 0; }

    /// The connection is gone, and with it whatever was meant for it.
    void clear() {
        next_.clear(kept_batch_bytes_);
        chunks_.clear();
        chunk_bytes_ = 0;
        taken_bytes_ = 0;
    }

private:
    std::size_t queue_bytes_;
    std::size_t max_frame_bytes_;
    std::size_t kept_batch_bytes_;
    std::uint8_t version_ = raft::codec::format_version;
    Batch next_;
    std::deque<raft::Message> chunks_;
    std::size_t chunk_bytes_ = 0;
    std::size_t taken_bytes_ = 0;
};

}  // namespace rsm::detail

#endif
