"""Settings for gunicorn: `gunicorn -c python:concept_fragmentation.gunicorn_settings`.

A worker of gunicorn's own default, `sync`, answers one request at a time and waits for the rest of
a half-sent one: two browsers on a slow line stop two workers. With threads each worker goes on.
Options on gunicorn's command line go before these.
"""

wsgi_app = "concept_fragmentation.app:create_server()"
bind = "127.0.0.1:8050"
workers = 2
worker_class = "gthread"
threads = 8
# A large file, or a report asked for by its address, can take longer than gunicorn's 30 seconds.
timeout = 120
