// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Which nodes a certificate is for: the URIs among its subject's alternative names (RFC 5280,
// section 4.2.1.6).
#ifndef RSM_TRANSPORT_TLS_IDENTITY_HPP
#define RSM_TRANSPORT_TLS_IDENTITY_HPP

#include <raft/base/types.hpp>

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rsm::inline v0 {

/// A node that a certificate is for.
struct CertifiedNode {
    /// The cluster's name; empty: whatever cluster trusts the one who has signed.
    std::string cluster;
    raft::NodeId node;
    friend bool operator==(const CertifiedNode&, const CertifiedNode&) = default;

    /// "rsm://<cluster>/<id>", with whatever is no letter, digit, '-', '.', '_' or '~' of the name
    /// as %XX (RFC 3986, section 2.1).
    std::string uri() const {
        constexpr std::string_view digits = "0123456789ABCDEF";
        std::string text = "rsm://";
        for (const char c : cluster) {
            const auto byte = static_cast<unsigned char>(c);
            if (is_unreserved(c)) {
                text += c;
            } else {
                text += {'%', digits[byte >> 4U], digits[byte & 15U]};
            }
        }
        return text + "/" + std::to_string(node.value);
    }

    /// Reads what uri() writes; nothing if it is something else.
    static std::optional<CertifiedNode> parse(std::string_view uri) {
        constexpr std::string_view scheme = "rsm://";
        if (!uri.starts_with(scheme)) return std::nullopt;
        uri.remove_prefix(scheme.size());
        const std::size_t slash = uri.find('/');
        if (slash == std::string_view::npos) return std::nullopt;
        auto name = decoded(uri.substr(0, slash));
        const auto id = number(uri.substr(slash + 1));
        if (!name || !id) return std::nullopt;
        return CertifiedNode{*std::move(name), {*id}};
    }

    /// Whether it is that node of that cluster.
    bool is(std::string_view cluster_name, raft::NodeId id) const {
        return node == id && (cluster.empty() || cluster == cluster_name);
    }

private:
    static bool is_unreserved(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~';
    }
    static std::optional<unsigned> hex(char c) {
        if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
        if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
        if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
        return std::nullopt;
    }
    static std::optional<std::string> decoded(std::string_view text) {
        std::string name;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (is_unreserved(text[i])) {
                name += text[i];
                continue;
            }
            if (text[i] != '%' || text.size() - i < 3) return std::nullopt;
            const auto high = hex(text[i + 1]);
            const auto low = hex(text[i + 2]);
            if (!high || !low) return std::nullopt;
            name += static_cast<char>(*high << 4U | *low);
            i += 2;
        }
        return name;
    }
    static std::optional<std::uint64_t> number(std::string_view digits) {
        if (digits.empty() || digits.size() > 20 || digits.front() == '0') return std::nullopt;
        std::uint64_t value = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9') return std::nullopt;
            const auto digit = static_cast<std::uint64_t>(c - '0');
            if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
            value = value * 10 + digit;
        }
        return value;
    }
};

/// All nodes that a certificate is for, in its order. What else it is for is left out.
inline std::vector<CertifiedNode> certified_nodes(const X509* certificate) {
    std::vector<CertifiedNode> nodes;
    const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
        [](GENERAL_NAMES* all) { GENERAL_NAMES_free(all); });
    if (names == nullptr) return nodes;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING* const uri = name->d.uniformResourceIdentifier;
        const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                                    static_cast<std::size_t>(ASN1_STRING_length(uri)));
        if (auto node = CertifiedNode::parse(text)) nodes.push_back(*std::move(node));
    }
    return nodes;
}

namespace detail {

/// Why a certificate is not that of this node, as the end of a sentence about it; empty: it is.
inline std::string certificate_mismatch(const X509* certificate, const std::string& cluster,
                                        raft::NodeId node) {
    constexpr std::size_t named_most = 4;
    if (certificate == nullptr) return "there is none";
    const std::vector<CertifiedNode> nodes = certified_nodes(certificate);
    if (nodes.empty()) return "it is for no node: it has no URI rsm://CLUSTER/ID";
    std::string named;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (nodes[i].is(cluster, node)) return {};
        if (i < named_most) named += (named.empty() ? "" : ", ") + nodes[i].uri();
        if (i == named_most) named += ", ...";
    }
    return "it is for " + named + " and not for " + CertifiedNode{cluster, node}.uri();
}

}  // namespace detail
}  // namespace rsm

#endif
