"""What others read and write.

pickles.py     torch.save files from anywhere, read without running code
tensors.py     images, labels and rate as MTT, FTD, TESLA, DATM, DC, DSA and DM store them
importing.py   such tensors as a SyntheticSet, with the preprocessing they were made in
buffers.py     expert buffers as experts that datm can match
pictures.py    a set as an image folder, or as parquet in the Hub's layout
ddranking.py   a set as DD-Ranking takes it
tracking.py    events as the scalars that people know, in TensorBoard or Weights & Biases
"""
