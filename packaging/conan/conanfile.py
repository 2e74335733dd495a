# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""The library as a Conan 2 package: conan create packaging/conan"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class RsmConan(ConanFile):
    name = "rsm"
    description = "Replicated, durable, linearizable state machines: Raft for C++20"
    license = "BSL-1.0"
    topics = ("raft", "consensus", "replication", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"with_tls": [True, False], "with_sim": [True, False]}
    default_options = {"with_tls": False, "with_sim": False}
    no_copy_source = True

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        text = load(self, os.path.join(self._root, "CMakeLists.txt"))
        self.version = re.search(r"^    VERSION ([0-9.]+)$", text, re.MULTILINE)[1]

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "packaging/debian/*"):
            copy(self, pattern, self._root, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("boost/[>=1.81 <2]", options={"header_only": True}, transitive_headers=True)
        self.requires("xxhash/[>=0.8 <1]", transitive_headers=True)
        if self.options.with_tls:
            self.requires("openssl/[>=3 <4]", transitive_headers=True, transitive_libs=True)
        if self.options.with_sim:
            self.requires("cli11/[>=2.1 <3]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def package_id(self):
        # Files, the same for everybody; what is compiled is compiled by who uses them.
        self.info.settings.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("BENCH", "EXAMPLES", "TESTS", "TOOLS"):
            toolchain.cache_variables[f"RSM_BUILD_{part}"] = False
        toolchain.cache_variables["RSM_VERIFY_HEADERS"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install(component="dev")
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        # The package's own files, which find its parts by find_package, are the ones to use.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "rsm")]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
