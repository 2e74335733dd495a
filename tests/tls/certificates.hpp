// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// Authorities and certificates, made as the tests need them.
#ifndef RSM_TESTS_TLS_CERTIFICATES_HPP
#define RSM_TESTS_TLS_CERTIFICATES_HPP

#include <rsm/transport/tls.hpp>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace tls_test {

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

inline void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("certificates: ") + what);
}

inline Key new_key() {
    Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    require(key != nullptr, "no key");
    return key;
}

/// What a certificate says.
struct Says {
    std::string name;
    std::string alternative_names{};  ///< as OpenSSL's configuration has them: "URI:...,DNS:..."
    long valid_from = -3600;          ///< seconds from now
    long valid_until = 30L * 24 * 3600;
    std::string usages{};  ///< "serverAuth,clientAuth"; empty: any
};

inline void add_extension(X509* certificate, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    require(extension != nullptr, "no extension");
    require(X509_add_ext(certificate, extension, -1) == 1, "extension not added");
    X509_EXTENSION_free(extension);
}

/// A certificate that is not signed yet.
inline Certificate fill_in(const Says& says, EVP_PKEY* key, const X509_NAME* issuer) {
    static long serial = 1;
    Certificate made(X509_new(), X509_free);
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), says.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), says.valid_until);
    X509_set_pubkey(made.get(), key);
    X509_NAME* const name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(says.name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(made.get(), issuer != nullptr ? issuer : name);
    if (!says.alternative_names.empty()) {
        add_extension(made.get(), NID_subject_alt_name, says.alternative_names);
    }
    if (!says.usages.empty()) add_extension(made.get(), NID_ext_key_usage, says.usages);
    return made;
}

template <class Put>
void write_pem(const std::string& path, Put put) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "we"),
                                                               std::fclose);
    require(file != nullptr && put(file.get()) == 1, "file not written");
}

/// Signs certificates, and keeps its own one, and theirs, as files of a directory.
class Authority {
public:
    Authority(std::filesystem::path directory, const std::string& name)
        : directory_(std::move(directory)), name_(name) {
        own_ = fill_in({name, {}}, key_.get(), nullptr);
        add_extension(own_.get(), NID_basic_constraints, "critical,CA:TRUE");
        require(X509_sign(own_.get(), key_.get(), EVP_sha256()) != 0, "not signed");
        write_pem(path(), [&](std::FILE* file) { return PEM_write_X509(file, own_.get()); });
    }

    std::string path() const { return (directory_ / (name_ + ".crt")).string(); }

    /// Writes NAME.crt and NAME.key, or replaces them.
    rsm::TlsFiles issue(const Says& says) const {
        const Key key = new_key();
        const Certificate made = fill_in(says, key.get(), X509_get_subject_name(own_.get()));
        require(X509_sign(made.get(), key_.get(), EVP_sha256()) != 0, "not signed");
        rsm::TlsFiles files{(directory_ / (says.name + ".crt")).string(),
                            (directory_ / (says.name + ".key")).string(), path()};
        write_pem(files.certificate,
                  [&](std::FILE* file) { return PEM_write_X509(file, made.get()); });
        write_pem(files.key, [&](std::FILE* file) {
            return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
        return files;
    }
    /// For a node of the cluster "default".
    rsm::TlsFiles issue_node(std::uint64_t id) const {
        return issue(
            {name_ + "-node-" + std::to_string(id), "URI:rsm://default/" + std::to_string(id)});
    }

private:
    std::filesystem::path directory_;
    std::string name_;
    Key key_ = new_key();
    Certificate own_{nullptr, X509_free};
};

}  // namespace tls_test

#endif
