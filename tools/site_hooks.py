# Distributed under the Boost Software License, Version 1.0. See LICENSE.
"""What mkdocs does beyond its own for scripts/docs: pages of docs/ link to files of the repository, which
the site has too: those in Markdown as pages, all others as they are."""
import os
import posixpath
import re

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT_PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\])\(([^)\s#]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
CODE = re.compile(r"`[^`\n]+`")
linked = set()


def on_files(files, config):
    root = os.path.dirname(config["config_file_path"])
    for name in ROOT_PAGES:
        files.append(File(name, root, config["site_dir"], config["use_directory_urls"]))
    return files


def target_of(page, path):
    """Of a link of a page: where it leads to in the repository."""
    base = "" if page.file.src_uri in ROOT_PAGES else "docs"
    return posixpath.normpath(posixpath.join(base, posixpath.dirname(page.file.src_uri), path))


def on_page_markdown(markdown, page, config, files):
    root = os.path.dirname(config["config_file_path"])

    def rewrite(match):
        text, path, anchor = match.group(1), match.group(2), match.group(3) or ""
        if not path or ":" in path:
            return match.group(0)
        target = target_of(page, path)
        if target.startswith("docs/"):
            return f"{text}({target[len('docs/'):]}{anchor})"
        if target == "README.md":
            return f"{text}(index.md{anchor})"
        if target in ROOT_PAGES:
            return f"{text}({target}{anchor})"
        if not os.path.exists(os.path.join(root, target)):
            raise PluginError(f"{page.file.src_uri} links to {target}, which is not there")
        if os.path.isdir(os.path.join(root, target)):
            return text[1:-1]  # the site has no list of a folder's files
        linked.add(target)
        # As text: what a browser does not know it would save.
        return f'<a href="source/{target}.txt">{text[1:-1].strip("`")}</a>'

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(rewrite, with_plain_bars(part)) for part in parts)


def with_plain_bars(text):
    """GitHub ends a cell at each bar, also in code, and takes the backslash before it away; here code
    is left as it stands, bar and backslash."""
    rows = [CODE.sub(lambda code: code.group(0).replace("\\|", "|"), line) if line.startswith("|") else line
            for line in text.split("\n")]
    return "\n".join(rows)


def on_post_build(config):
    root = os.path.dirname(config["config_file_path"])
    for target in linked:
        copy = os.path.join(config["site_dir"], "source", target + ".txt")
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with open(os.path.join(root, target), "rb") as source, open(copy, "wb") as out:
            out.write(source.read())
