# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""An authority and its certificates for nodes, made with the program openssl."""

import os
import subprocess


def _openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr.strip()}")


class Certificates:
    """Of a directory."""

    def __init__(self, directory, cluster):
        self._directory, self._cluster = directory, cluster
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", "/CN=chaos", "-days", "2", "-keyout", self._file("ca.key"),
                 "-out", self._file("ca.crt"))

    def options(self, node):
        """Of kv-server, by which nodes, and no clients, show certificates."""
        name = f"node-{node}"
        if not os.path.exists(self._file(name + ".crt")):
            self._issue(name, f"URI:rsm://{self._cluster}/{node}")
        return ["--tls-cert", self._file(name + ".crt"), "--tls-key", self._file(name + ".key"),
                "--tls-ca", self._file("ca.crt"), "--tls-for", "peers"]

    def _file(self, name):
        return os.path.join(self._directory, name)

    def _issue(self, name, alternative):
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                 f"/CN={name}", "-keyout", self._file(name + ".key"), "-out",
                 self._file(name + ".csr"))
        extensions = self._file(name + ".ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={alternative}\n")
        _openssl("x509", "-req", "-in", self._file(name + ".csr"), "-CA", self._file("ca.crt"),
                 "-CAkey", self._file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
                 extensions, "-out", self._file(name + ".crt"))
