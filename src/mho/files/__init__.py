"""Files, read and written in one way: bounded before anything is read, there whole or not at all when written.

writing    one file or several, whole or not at all, never over what is no regular file
text       UTF-8, YAML and JSON: size, depth and repetition are bounded before anything is built
archive    .npz files and programs: what they hold is known from their headers, and bounded, before anything is read
"""
