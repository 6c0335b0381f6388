"""One worker's part of a train step: build the model, open the data, run the loop."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from jobs.contracts import dataset as datasets
from jobs.contracts.dataset import Manifest, Role
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Context
from jobs.contracts.workload import Model, load_entry
from jobs.scoring.encode import Encoder
from jobs.scoring.words import Tokenizer
from jobs.steps.checkpoints import Progress
from jobs.steps.device import place
from jobs.steps.loader import Loader
from jobs.steps.settings import Settings, only, workload_params
from jobs.steps.training_loop import Worker, train
from jobs.steps.uncertainty import Uncertainty


def run(context: Context, rank: int = 0, world: int = 1) -> Progress:
    """Train as worker ``rank`` of ``world``; the weights end up in the step's checkpoints."""
    settings = Settings.of(context)
    cuda = torch.cuda.is_available()
    placement = place(settings.gpu, cuda=cuda, bfloat16=cuda and torch.cuda.is_bf16_supported(), precision=settings.precision)
    torch.set_num_threads(settings.cpu)
    uri = only(dict(context.inputs), "input")
    manifest = datasets.load_manifest(uri)
    model = build(context, manifest)
    encoder = encoder_of(model)
    training = Loader(uri, manifest, "train", encoder, classes=model.classes, rank=rank, world=world)
    validation = Loader(uri, manifest, "validation", encoder, classes=model.classes, rank=rank, world=world, even=False)
    model_settings = replace(settings, epochs=settings.epochs or model.max_epochs)
    return train(model, training, validation, model_settings, Worker(rank, world, placement), context.report)


def build(context: Context, manifest: Manifest) -> Model:
    """The workload's model with the initial weights of the seed; its code becomes importable.

    Errors: RequestError for an entry that does not return a model for this dataset.
    """
    if context.code and context.code not in sys.path:
        sys.path.insert(0, context.code)
    if manifest.columns_of(Role.WEIGHT):
        raise RequestError(
            "training does not use row weights yet", where=manifest.columns_of(Role.WEIGHT)[0].name, hint="give this column another role in the features"
        )
    torch.manual_seed(Settings.of(context).seed)
    model = load_entry(context.job.entry)(manifest, workload_params(context.job))
    if not isinstance(model, Model):
        raise RequestError(f"the entry returned {type(model).__name__}", where=context.job.entry, hint="return a jobs.contracts.workload.Model")
    if (model.task == "multiclass") != bool(model.classes):
        hint = "name the label's values in `classes` for task multiclass, and for no other"
        raise RequestError(f"a model for {model.task} has {len(model.classes)} classes", where=context.job.entry, hint=hint)
    Uncertainty.of(context.job).check(model.task)
    if unknown := {*model.categorical, *model.texts, *model.numeric} - {column.name for column in manifest.features}:
        raise RequestError(
            f"the model wants {sorted(unknown)}, which are no features of this dataset", where=context.job.entry, hint="choose columns from the manifest"
        )
    return model


def encoder_of(model: Model) -> Encoder:
    return Encoder(model.categorical, model.numeric, model.vocabularies, {name: Tokenizer(text.length, text.tokens) for name, text in model.texts.items()})
