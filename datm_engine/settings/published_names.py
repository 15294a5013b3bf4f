"""The names of settings in the code published with MTT, FTD, TESLA and DATM, and what each is here.

Sources: the arguments of MTT's, FTD's and TESLA's `buffer` and `distill` scripts, and the keys of
DATM's YAML files. Several names resemble a key of another meaning, so this table is read before
similar names are suggested.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedName:
    """meaning: what it sets, or why it has no counterpart. keys: its counterparts ("table.key")."""

    meaning: str
    keys: tuple[str, ...]


def _name(meaning: str, *keys: str) -> PublishedName:
    return PublishedName(meaning, keys)


_NAMES = {  # names with one meaning stand together
    # distill.py: the distillation
    "ipc": _name("synthetic images per class", "distill.ipc"),
    "Iteration": _name("iterations of the distillation", "distill.iterations"),
    "syn_steps": _name("N, the student's steps in an iteration", "distill.syn_steps"),
    "expert_epochs": _name("M, expert epochs from start to target", "distill.expert_epochs"),
    "min_start_epoch": _name("T⁻, the first start epoch", "distill.min_start_epoch"),
    "current_max_start_epoch Initial_Step": _name(
        "T, the bound of the start epoch at iteration 0", "distill.initial_max_start_epoch"
    ),
    "max_start_epoch": _name("T⁺, the final bound of the start epoch", "distill.max_start_epoch"),
    "expansion_end_epoch learn_end_epoch": _name(
        "it counts iterations, over which T grows to T⁺", "distill.expansion_iterations"
    ),
    "Sequential_Generation": _name(
        "False is 0 here: T = T⁺ throughout", "distill.expansion_iterations"
    ),
    "batch_syn": _name("synthetic images in a student's step", "distill.batch_syn"),
    "lr_img": _name("learning rate of the images", "distill.lr_images"),
    "lr_y": _name("learning rate of the labels", "distill.lr_labels"),
    "lr_lr": _name("learning rate of η", "distill.lr_lr"),
    "Momentum_y": _name("momentum of the labels", "distill.momentum_labels"),
    "threshold": _name("largest matching loss at which a step is taken", "distill.threshold"),
    "pix_init": _name("where the images start: correct, random (real) or noise", "distill.images"),
    "ema_decay": _name("FTD's decay of the images' average; DATM ignores it", "distill.averaging"),
    "teacher_label": _name(
        "TESLA's fixed labels of an expert: soft, one and 0, as the method tesla has them",
        "distill.labels",
        "distill.label_experts",
        "distill.lr_labels",
    ),
    "lr_init": _name("the published code does not read it"),
    "no_aug": _name("dataset.augmentation holds for distillation and evaluation alike"),
    "random_trajectory": _name("trajectories are always those of experts"),
    "texture canvas_size canvas_samples": _name("textures are not distilled"),
    "Label_Model_Timestamp": _name("labels start from the experts' last snapshots"),
    "Initialize_Label_With_Another_Model Initialize_Label_Model Initialize_Label_Model_Dir": _name(
        "labels start from the experts' own network"
    ),
    # buffer.py: the experts
    "num_experts": _name("how many experts", "experts.count"),
    "train_epochs": _name("epochs of each expert", "experts.epochs"),
    "lr_teacher": _name(
        "the start of η in the distillation, and the experts' own learning rate in buffer.py",
        "distill.syn_lr",
        "experts.lr",
    ),
    "batch_train": _name(
        "the evaluation's batch in the distillation, and the experts' own batch in buffer.py",
        "evaluate.batch",
        "experts.batch",
    ),
    "mom": _name("momentum of the experts", "experts.momentum"),
    "l2": _name("weight decay of the experts", "experts.weight_decay"),
    "rho": _name("GSAM's radius", "experts.rho"),
    "rho_max rho_min": _name("GSAM's radius, which is constant: rho_max = rho_min", "experts.rho"),
    "alpha": _name("GSAM's share of the orthogonal component", "experts.alpha"),
    "adaptive": _name("GSAM is always the adaptive one"),
    "decay": _name("the experts' learning rate is constant"),
    "loss_type": _name("experts are always trained with cross-entropy"),
    "save_interval": _name("each expert is a file of its own"),
    "load_all": _name("snapshots are read as they are needed"),
    "max_files max_experts": _name("experts.count is how many experts are matched"),
    "buffer_path": _name("experts_dir is where experts are; datm import reads replay buffers"),
    # the dataset
    "dataset": _name("a name or a path", "dataset.name"),
    "data_path": _name("data_dir is where downloads are; dataset.name takes a folder of images"),
    "subset": _name("dataset.name takes a folder that holds this part of ImageNet"),
    "res": _name("pixels a side", "dataset.resolution"),
    "zca": _name("zca, or normalize without it", "dataset.preprocessing"),
    "zca_trans": _name("ZCA is fitted by datm and kept with the distilled set"),
    "dsa": _name("the operations, or none of them", "dataset.augmentation"),
    "dsa_strategy": _name("the operations, with commas between them", "dataset.augmentation"),
    "dsa_param": _name("the operations have DSA's parameters"),
    "dc_aug_param": _name("DC's augmentation is not used; dataset.augmentation is DSA's"),
    "batch_real": _name("it has no effect on what the published code makes"),
    # the evaluation
    "model": _name(
        "the ConvNet: ConvNetD4 has depth 4", "network.width", "network.depth", "network.norm"
    ),
    "num_eval": _name(
        "networks trained on the result, and on each candidate of the selection",
        "evaluate.repeats",
        "evaluate.selection_repeats",
    ),
    "eval_it": _name("iterations between candidates", "evaluate.selection_interval"),
    "epoch_eval_train": _name("epochs on the distilled set", "evaluate.epochs"),
    "eval_mode": _name("names of the networks that are evaluated", "evaluate.networks"),
    "skip_first_eva": _name("the start is not a candidate of the selection"),
    "parall_eva": _name("torchrun uses several GPUs"),
    # how a run is made
    "device": _name("the argument device names a GPU"),
    "project": _name("the argument log names trackers, wandb for one"),
    "record_loss": _name("the loss of every iteration is recorded"),
    "force_save": _name("pictures are saved every distill.sample_interval iterations"),
    "save_path": _name("runs_dir is where runs are"),
}
PUBLISHED = {name: each for names, each in _NAMES.items() for name in names.split()}
_LOWER_CASE = {name.lower(): name for name in PUBLISHED}


def published_name(name: str) -> str | None:
    """The published name that `name` is in any letter case, with - or _; None if it is none."""
    return _LOWER_CASE.get(name.lower().replace("-", "_"))


def counterpart(name: str) -> str | None:
    """What a published name is here, as a clause; None if `name` is no published name."""
    known = published_name(name)
    if known is None:
        return None
    meaning, keys = PUBLISHED[known].meaning, PUBLISHED[known].keys
    if not keys:
        return f"the published {known} has no counterpart: {meaning}"
    *first, last = keys
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"the published {known} is {listed} here: {meaning}"
