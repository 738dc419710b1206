def test_the_nouns_import():
    import hybridrt.wire  # noqa: F401
