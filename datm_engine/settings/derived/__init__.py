"""Rules for settings that no preset has: each with what it is fitted to and its reason in words.

The paper's argument is that the difficulty of what is matched must fit the size of the synthetic
set. Two readings of it are combined, and the later window of both is taken:

- The published windows follow the number of synthetic images, whatever the dataset
  (`window_rules.published_window`). Their epochs are converted to those of other experts by how
  much these have learned (`window_rules.reached`).
- A window should begin where experts know what as many random real images teach, and end where
  they know what the distilled ones are to teach. Earlier epochs could be matched by real images,
  later ones by no set so small.

The rules read no file and train nothing. `datm_engine.calibration` measures what they need.
"""
