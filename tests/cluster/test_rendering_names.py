"""Whatever people call their pipelines, steps and runs: names are valid, short and different."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from cluster.names import label_value, node_label, secret_name
from cluster.rendering import config_maps, object_name
from jobs.contracts.job import Job
from jobs.control.spec import KubernetesTarget
from tests.cluster import rendered

DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # RFC 1035: Services and RayJobs ask for it
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
LONGEST = 40  # KubeRay allows 47, and Spark adds "-abcde-exec-1" to a host name of at most 63

word = st.one_of(st.text(max_size=80), st.from_regex(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True))
chosen = st.tuples(word, word, word, st.integers(1, 99))


def name(pipeline: str, run: str, step: str, attempt: int) -> str:
    return object_name(Job(pipeline=pipeline, run=run, step=step, kind="train", fingerprint="f"), attempt)


@given(chosen)
def test_a_name_is_a_short_dns_label(words: tuple[str, str, str, int]) -> None:
    assert DNS_LABEL.fullmatch(name(*words))
    assert len(name(*words)) <= LONGEST


@given(st.lists(chosen, min_size=2, max_size=6, unique=True))
def test_different_work_has_different_names(several: list[tuple[str, str, str, int]]) -> None:
    assert len({name(*words) for words in several}) == len(several)


def test_words_that_run_together_stay_apart() -> None:
    assert name("p", "a-b", "c", 1) != name("p", "a", "b-c", 1)
    assert name("p", "r", "s", 1) != name("p", "r", "s", 11)
    assert name("flights", rendered.RUN, "train", 1).startswith("flights-train-")


@given(word)
def test_labels_and_secrets_are_valid(text: str) -> None:
    assert LABEL.fullmatch(label_value(text))
    assert len(label_value(text)) <= 63
    assert LABEL.fullmatch(node_label(text))
    assert SUBDOMAIN.fullmatch(secret_name(text))


@given(st.lists(word, min_size=2, max_size=6, unique=True))
def test_different_runs_have_different_labels(several: list[str]) -> None:
    assert len({label_value(text) for text in several}) == len(several)


def test_a_usual_word_is_its_own_label() -> None:
    assert label_value(rendered.RUN) == rendered.RUN
    assert node_label("Tesla T4") == "Tesla-T4"


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), min_size=1, max_size=5))
def test_a_config_map_holds_every_file_under_a_key_of_its_own(files: dict[str, str]) -> None:
    rendered_map = config_maps.code(KubernetesTarget(), files)
    items = config_maps.code_mount(files).source["configMap"]["items"]
    assert {item["path"]: rendered_map["data"][item["key"]] for item in items} == files
    assert all(KEY.fullmatch(key) for key in rendered_map["data"])
    assert SUBDOMAIN.fullmatch(rendered_map["metadata"]["name"])


def test_code_is_named_by_its_content() -> None:
    one, same, other = ({"a/x.py": "1"}, {"a/x.py": "1"}, {"b/x.py": "1"})
    assert config_maps.code_name(one) == config_maps.code_name(same) != config_maps.code_name(other)


def test_the_order_of_the_files_does_not_matter() -> None:
    files = {"a/x.py": "1", "b/y.py": "2"}
    turned = dict(reversed(files.items()))
    assert config_maps.code(KubernetesTarget(), files) == config_maps.code(KubernetesTarget(), turned)
    assert config_maps.code_mount(files) == config_maps.code_mount(turned)
