// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// AdminServer: tells over HTTP what a node knows of itself. Nothing can be changed over it.
#ifndef RSM_ADMIN_HTTP_HPP
#define RSM_ADMIN_HTTP_HPP

#include <raft/base/types.hpp>
#include <rsm/admin/health.hpp>
#include <rsm/admin/history.hpp>
#include <rsm/admin/http/message.hpp>
#include <rsm/admin/http/page_policy.hpp>
#include <rsm/admin/http/server.hpp>
#include <rsm/admin/metrics.hpp>
#include <rsm/admin/prometheus.hpp>
#include <rsm/admin/status_json.hpp>
#include <rsm/admin/status_page.hpp>
#include <rsm/status.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// Where nobody from another host can ask. Port 0: one that the system chooses.
/// @throws boost::system::system_error
inline std::vector<boost::asio::ip::tcp::acceptor> listen_on_loopback(
    const boost::asio::any_io_executor& executor, std::uint16_t port) {
    std::vector<boost::asio::ip::tcp::acceptor> acceptors;
    acceptors.emplace_back(
        executor, boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4::loopback(), port));
    return acceptors;
}

struct AdminOptions {
    /// By which names clients may call the server, besides localhost and addresses: others are
    /// refused (421), lest a page of another site have its own name lead here and read along.
    std::vector<std::string> names = {};
    /// At once, at least 1. For one more, one goes that asks for nothing, or has not taken its
    /// answer in a second.
    std::size_t max_connections = 32;
    /// Of a request; what is longer is refused (431).
    std::size_t max_header_bytes = 8192;
    std::chrono::milliseconds request_timeout{5000};  ///< from its first byte to its last
    std::chrono::milliseconds idle_timeout{30'000};   ///< between requests
    std::chrono::milliseconds reply_timeout{10'000};  ///< until a reply has been taken
    /// How long /readyz waits until what was committed when it was asked has been applied.
    std::chrono::milliseconds ready_wait{1000};
};

/// Answers GET and HEAD of
///
/// - `/metrics`: for Prometheus;
/// - `/healthz`: 200 while the node works, 503 once it has stopped, with a sentence;
/// - `/readyz`: 200 if the node may be sent clients, 503 and why not otherwise (readiness());
/// - `/status.json`: status_json(), with the last five minutes by the second;
/// - `/`: a page that shows that.
///
/// There are no passwords: whoever reaches the port may read all of it, contacts of members
/// included, but no operation or state of the machine. `Replica` is an rsm::Replicated.
///
/// Thread safety: made, used and destroyed on the replica's executor, or while nobody runs it. The
/// replica must outlive it. Destruction closes all connections and waits for nothing.
template <class Replica>
class AdminServer {
    using Tcp = boost::asio::ip::tcp;
    using Error = boost::system::error_code;

public:
    /// Serves at once.
    /// @param acceptors  listening; at least one
    AdminServer(Replica& replica, std::vector<Tcp::acceptor> acceptors, AdminOptions options = {})
        : port_(acceptors.front().local_endpoint().port()),
          state_(std::make_shared<State>(replica, std::move(options))) {
        state_->open(std::move(acceptors));
    }
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;
    ~AdminServer() { stop(); }

    /// Accepts no more and closes all connections. Final.
    void stop() { state_->stop(); }

    /// Of the first acceptor, in host byte order.
    std::uint16_t port() const { return port_; }
    std::size_t connections() const { return state_->connections(); }

private:
    using Respond = detail::HttpConnection::Respond;
    using Reply = detail::HttpReply;

    // Held by the handlers as well: they may run when the server itself is gone.
    class State : public std::enable_shared_from_this<State> {
    public:
        State(Replica& replica, AdminOptions options)
            : replica_(replica),
              options_(std::move(options)),
              page_policy_(detail::policy_of(status_page_html)),
              sampling_(replica.get_executor()) {}

        void open(std::vector<Tcp::acceptor> acceptors) {
            const detail::HttpLimits limits{options_.max_header_bytes, options_.request_timeout,
                                            options_.idle_timeout, options_.reply_timeout};
            server_ = std::make_shared<detail::HttpServer>(
                replica_.get_executor(), std::move(acceptors), limits, options_.max_connections,
                [weak = this->weak_from_this()](const detail::HttpRequest& request,
                                                Respond respond) {
                    if (const auto self = weak.lock()) self->answer(request, std::move(respond));
                });
            server_->start();
            sampling_.expires_after(std::chrono::nanoseconds(0));
            sample_later();
        }
        void stop() {
            if (std::exchange(stopped_, true)) return;
            server_->stop();
            sampling_.cancel();
        }
        std::size_t connections() const { return server_->connections(); }

    private:
        static constexpr std::chrono::milliseconds interval{1000};
        static constexpr std::chrono::milliseconds ready_poll{20};

        static std::int64_t now_ms() {
            const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
            return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
        }

        void answer(const detail::HttpRequest& request, Respond respond) {
            if (stopped_) return;
            if (auto refused = detail::refusal_of(request, options_.names)) {
                return respond(*std::move(refused));
            }
            const std::string path = detail::path_of(request);
            if (path == "/") return respond(page());
            if (path == "/healthz") return answer_health(std::move(respond));
            if (path == "/readyz") {
                const auto until = std::chrono::steady_clock::now() + options_.ready_wait;
                return answer_readiness(std::move(respond), std::nullopt, until);
            }
            if (path == "/metrics") {
                return with_knowledge([respond = std::move(respond)](State&, const Metrics& metrics,
                                                                     const Status& status) {
                    respond({200, prometheus_content_type, prometheus_text(metrics, status)});
                });
            }
            if (path == "/status.json") {
                return with_knowledge([respond = std::move(respond)](State& self,
                                                                     const Metrics& metrics,
                                                                     const Status& status) {
                    const Account account{status,   metrics,          self.history_,
                                          now_ms(), self.sampled_at_, interval.count()};
                    respond({200, "application/json", status_json(account)});
                });
            }
            respond(detail::plain_reply(
                404, "There are /, /metrics, /healthz, /readyz and /status.json."));
        }

        Reply page() const {
            return {200, "text/html; charset=utf-8", std::string(status_page_html), page_policy_};
        }
        static Reply told(const Health& health) {
            return detail::plain_reply(health.good ? 200 : 503, health.sentence);
        }

        /// Calls use(state, metrics, status) when both are there.
        template <class Use>
        void with_knowledge(Use use) {
            replica_.async_metrics([self = this->shared_from_this(), use = std::move(use)](
                                       Error gone, Metrics metrics) mutable {
                if (gone || self->stopped_) return;
                self->with_status([self, metrics, use = std::move(use)](const Status& status) {
                    use(*self, metrics, status);
                });
            });
        }
        template <class Use>
        void with_status(Use use) {
            replica_.async_status([self = this->shared_from_this(), use = std::move(use)](
                                      Error gone, const Status& status) {
                if (!gone && !self->stopped_) use(status);
            });
        }

        void answer_health(Respond respond) {
            with_status([respond = std::move(respond)](const Status& status) {
                respond(told(liveness(status)));
            });
        }

        void answer_readiness(Respond respond, std::optional<raft::Index> goal,
                              std::chrono::steady_clock::time_point until) {
            with_status([self = this->shared_from_this(), respond = std::move(respond), goal,
                         until](const Status& status) {
                const raft::Index wanted = goal.value_or(status.known_commit);
                const Health health = readiness(status, wanted);
                const bool late = std::chrono::steady_clock::now() >= until;
                if (health.good || !health.comes || late) return respond(told(health));
                auto timer =
                    std::make_shared<boost::asio::steady_timer>(self->replica_.get_executor());
                timer->expires_after(ready_poll);
                timer->async_wait([self, timer, respond, wanted, until](Error error) {
                    if (error || self->stopped_) return;
                    self->answer_readiness(respond, wanted, until);
                });
            });
        }

        void sample_later() {
            sampling_.async_wait([weak = this->weak_from_this()](Error error) {
                const auto self = weak.lock();
                if (error || self == nullptr || self->stopped_) return;
                self->replica_.async_metrics([self](Error gone, const Metrics& metrics) {
                    if (gone || self->stopped_) return;
                    self->history_.take(metrics);
                    self->sampled_at_ = now_ms();
                    // By the clock, so that a busy moment does not shift all that follow.
                    const auto next = self->sampling_.expiry() + interval;
                    const auto now = std::chrono::steady_clock::now();
                    self->sampling_.expires_at(next > now ? next : now + interval);
                    self->sample_later();
                });
            });
        }

        Replica& replica_;
        AdminOptions options_;
        const std::string page_policy_;
        History history_;
        std::int64_t sampled_at_ = 0;
        boost::asio::steady_timer sampling_;
        std::shared_ptr<detail::HttpServer> server_;
        bool stopped_ = false;
    };

    std::uint16_t port_;
    std::shared_ptr<State> state_;
};

}  // namespace rsm

#endif
