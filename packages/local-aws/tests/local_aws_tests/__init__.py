"""What the tests of local_aws share: a harness, the cases, the table of what is supported, Trino."""
