"""Real servers for the tests: private to one test run, on free ports, in temporary folders, gone with it.

`process` is one server program and its life; `postgres`, `mariadb`, `redis`, `mongodb` say what each needs. A run has
one server of a kind, shared by its workers and kept by `keeper`; a test that kills or stops a server takes one of its
own. `fixtures` is the face for tests: `postgres_url` and its like give each test an empty place on the shared server,
`own_postgres` and its like a server to maltreat. `FLOWLANG_TEST_POSTGRES_URL` and its like name a server of
yours, which is then used instead of a shared one.
"""
