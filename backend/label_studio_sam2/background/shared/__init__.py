"""What replicas of this service tell each other, so that any of them may be asked: through one Redis, or not at all.

Redis stays a cache. Without REDIS_URL, and while Redis is out, each process is one for itself, and no request fails.
Values are JSON, late answers excepted, which are an answer's own bytes. All names begin with
`label-studio-sam2:shared1:` (1 is this schema's version: replicas of another one don't meet these), and all lapse:

    replica:{replica}  "1"                                      10 s, renewed each second: it is alive
    claim:{hash}       [replica, state, when answered]          100 s; who hands a task's masks over
    run:{hash}         [assignment, replica, ended]             a day; an object's newest track
    problems           hash: project -> [error, detail, at]     a week; the 1000 newest
    hosts              sorted set: hostname by time of /setup   30 days; the 64 newest
    job:{job}          {job, replica, again, at}, or {moved}    an hour; a day where it can be begun again
    jobs               sorted set: job by time of its creation  a day; the 200 newest
    begun              set: projects' jobs that haven't ended   a day
    cancel:{job}       "1"                                      a day; it is asked to stop
    heir:{job}         replica                                  60 s; who begins a dead replica's job again
    late:{key}         an answer's entry that came too late     an hour; 8 MiB
"""
