"""Submissions have tests of their own, which are a part of them and not of ours."""

collect_ignore_glob = ["*"]
