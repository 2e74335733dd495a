#!/usr/bin/env python3
# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""Takes the recipe of packaging/conan through its steps, with the few things of Conan that it uses
played by this file, and CMake as it is. Proves what the recipe says, not that Conan likes it.

    conan_recipe.py SOURCES WORK VERSION      the package is then in WORK/package"""

import ast
import fnmatch
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import types


class Options(dict):
    __getattr__ = dict.__getitem__


class ConanFile:
    """What a recipe inherits: it remembers what it is told."""

    def __init__(self):
        self.options = Options(self.default_options)
        self.required = []
        self.info = types.SimpleNamespace(settings=dict(os="Linux"))
        self.cpp_info = types.SimpleNamespace(set_property=lambda name, value: None)

    def requires(self, reference, **_):
        self.required.append(reference)


class CMakeToolchain:
    def __init__(self, recipe):
        self.recipe, self.cache_variables = recipe, {}

    def generate(self):
        self.recipe.variables = self.cache_variables


class CMake:
    def __init__(self, recipe):
        self.recipe = recipe

    def configure(self):
        values = [f"-D{name}={'ON' if value else 'OFF'}"
                  for name, value in self.recipe.variables.items()]
        self.run("-S", self.recipe.source_folder, "-B", self.recipe.build_folder, *values)

    def install(self, component):
        self.run("--install", self.recipe.build_folder, "--component", component,
                 "--prefix", self.recipe.package_folder)

    @staticmethod
    def run(*arguments):
        subprocess.run(["cmake", *arguments], check=True, stdout=subprocess.DEVNULL)


def copy(_, pattern, source, target):
    found = [path for path in pathlib.Path(source).rglob("*") if path.is_file()
             and fnmatch.fnmatch(str(path.relative_to(source)), pattern)]
    assert found, f"nothing is called {pattern}"
    for path in found:
        to = pathlib.Path(target, path.relative_to(source))
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def play_conan():
    names = {
        "conan": {"ConanFile": ConanFile},
        "conan.tools": {},
        "conan.tools.build": {"check_min_cppstd": lambda recipe, version: None},
        "conan.tools.cmake": {
            "CMake": CMake, "CMakeToolchain": CMakeToolchain, "cmake_layout": lambda recipe: None,
            "CMakeDeps": lambda recipe: types.SimpleNamespace(generate=lambda: None)},
        "conan.tools.files": {
            "copy": copy, "load": lambda recipe, path: pathlib.Path(path).read_text()},
    }
    for name, contents in names.items():
        module = types.ModuleType(name)
        module.__dict__.update(contents)
        sys.modules[name] = module


def main(sources, work, version):
    folder = pathlib.Path(sources, "packaging/conan")
    ast.parse((folder / "test_package/conanfile.py").read_text())
    play_conan()
    recipe = runpy.run_path(str(folder / "conanfile.py"))["RsmConan"]()
    recipe.recipe_folder = str(folder)
    for name in ("source", "build", "package"):
        setattr(recipe, f"{name}_folder", os.path.join(work, name))
    recipe.export_sources_folder = recipe.source_folder

    recipe.set_version()
    assert recipe.version == version, f"the recipe is of {recipe.version}"
    recipe.export_sources()
    recipe.options.update(with_tls=True, with_sim=True)
    for step in ("layout", "requirements", "validate", "generate", "build", "package", "package_id",
                 "package_info"):
        getattr(recipe, step)()
    packages = sorted(reference.split("/")[0] for reference in recipe.required)
    assert packages == ["boost", "cli11", "openssl", "xxhash"], packages
    for folder in recipe.cpp_info.builddirs:
        assert pathlib.Path(recipe.package_folder, folder, "rsm-config.cmake").is_file(), folder
    assert pathlib.Path(recipe.package_folder, "licenses/LICENSE").is_file()


if __name__ == "__main__":
    main(*sys.argv[1:])
