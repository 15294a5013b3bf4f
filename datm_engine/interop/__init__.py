"""Files of other codes: distilled sets, experts and curves, read and written.

Read, by `datm import`:

    images_*.pt, labels_*.pt, lr_*.pt; res_*.pt    tensor_files → imported_sets, a SyntheticSet
    replay_buffer_*.pt                             expert_buffers, an ExpertSet

Written, by `datm export` and by trackers during a run:

    official, mtt, dcbench    tensor_files     the tensors as DATM, MTT and DC-BENCH read them
    ddranking                 ddranking        the tensors and the settings of DD-Ranking
    images, parquet           picture_files    pictures in folders or in the Hub's layout
    tensorboard, wandb        tracking         curves by the names that users of MTT know

Files from elsewhere are read as data: `pickles` refuses what could run code.
"""
