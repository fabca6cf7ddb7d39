# SPDX-License-Identifier: MIT
"""Makes what the real programs read: the same on every machine, no network."""
import json
import os
import random
import shutil
import subprocess

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _word(rng, length):
    return "".join(rng.choices(LETTERS, k=length))


def _sql(path, rng):
    """A table, an index, many small statements, some large queries."""
    with open(path, "w", encoding="ascii") as f:
        f.write("""\
create table t(id integer primary key, k text, grp int, v real, pad text);
begin;
with recursive c(x) as (select 1 union all select x+1 from c where x<300000)
 insert into t select x, 'key'||((x*2654435761)%1000003), (x*7919)%97,
 ((x*40503)%65537)/3.0, substr('abcdefghijklmnopqrstuvwxyz',1+x%20)||x from c;
commit;
create index tk on t(k);
begin;
""")
        for i in range(25000):
            f.write(f"insert into t(k,grp,v,pad) values('{_word(rng, 8)}',"
                    f"{rng.randrange(97)},{i}.5,'{_word(rng, 20)}');\n")
        f.write("commit;\n")
        for _ in range(4000):
            f.write("select grp, count(*), group_concat(substr(pad,1,3)) "
                    f"from t where k='key{rng.randrange(1000003)}' "
                    "group by grp order by 2 desc;\n")
        f.write("""\
select count(*) from (select k, pad from t order by pad||k desc);
select a.grp, count(distinct a.k), max(length(a.pad)),
 sum(json_array_length('['||a.id||',2,3]')) from t a group by a.grp order by 2;
""")


CXX_PART = """
struct S%(i)d {
  int a; std::string b; std::vector<std::string> c; double d[%(mod)d];
};
int f%(i)d(const std::vector<S%(i)d> &v, int k) {
  std::map<std::string, std::shared_ptr<S%(i)d>> m;
  int s = 0;
  for (auto &e : v)
    if (e.a %% %(mod)d == k) m[e.b] = std::make_shared<S%(i)d>(e);
    else s += e.a * %(i)d;
  std::vector<std::string> names;
  for (auto &p : m) names.push_back(p.first + std::to_string(p.second->a));
  std::sort(names.begin(), names.end(),
      [](const std::string &x, const std::string &y) {
        return x.size() + %(i)d < y.size();
      });
  for (auto &x : names) for (char ch : x) s = s * 31 + ch;
  return s;
}
"""


def _cxx(path, _rng):
    """Templates of the standard library, preprocessed."""
    source = "".join(f"#include <{name}>\n" for name in
                     ("algorithm", "map", "memory", "string", "vector"))
    source += "".join(CXX_PART % {"i": i, "mod": i % 5 + 2} for i in range(4))
    subprocess.run(["g++", "-E", "-std=c++17", "-x", "c++", "-", "-o", path],
                   input=source.encode(), check=True)


def _json(path, rng):
    records = [{
        "id": i, "user": _word(rng, 10),
        "tags": [_word(rng, 5) for _ in range(5)],
        "pos": {"x": rng.random(), "y": rng.random()},
        "grp": rng.randrange(50), "text": _word(rng, 60),
    } for i in range(45000)]
    with open(path, "w", encoding="ascii") as f:
        json.dump(records, f)


def _xml(path, rng):
    with open(path, "w", encoding="ascii") as f:
        f.write("<?xml version='1.0'?>\n<root>\n")
        for i in range(220000):
            f.write(f"<rec id='{i}' user='{_word(rng, 8)}'><tag>"
                    f"{_word(rng, 5)}</tag><pos x='{i % 97}' y='{i % 89}'/>"
                    f"some text {i}</rec>\n")
        f.write("</root>\n")


def _repository(path, rng):
    """2500 commits that each change some lines of some of 150 files."""
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    files = [[_word(rng, 6) + " " + _word(rng, 30) for _ in range(120)]
             for _ in range(150)]
    stream = []
    for commit in range(2500):
        message = f"change {commit}\n\n{_word(rng, 60)}\n"
        stream.append("commit refs/heads/main\n"
                      f"committer A B <a@b.c> {1600000000 + commit * 60} "
                      f"+0000\ndata {len(message)}\n{message}")
        changed = range(150)
        if commit:
            changed = [rng.randrange(150) for _ in range(6)]
        for i in changed:
            for _ in range(4):
                files[i][rng.randrange(120)] = \
                    _word(rng, 6) + " " + _word(rng, 30)
            body = "\n".join(files[i]) + "\n"
            stream.append(f"M 100644 inline dir{i % 12}/sub{i % 5}/{i}.txt\n"
                          f"data {len(body)}\n{body}")
        stream.append("")
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"],
                   input="\n".join(stream).encode(), check=True)
    subprocess.run(["git", "-C", path, "symbolic-ref", "HEAD",
                    "refs/heads/main"], check=True)


_MAKERS = {"mix.sql": _sql, "mix.ii": _cxx, "mix.json": _json,
           "mix.xml": _xml, "mix.git": _repository}


def make(name, folder):
    """The path of input NAME in FOLDER, made if it is not there yet."""
    path = os.path.join(folder, name)
    if os.path.exists(path):
        return path
    os.makedirs(folder, exist_ok=True)
    # Under another name until it is complete: an interrupt leaves no half.
    unfinished = path + ".new"
    if os.path.isdir(unfinished):
        shutil.rmtree(unfinished)
    _MAKERS[name](unfinished, random.Random(7))
    os.rename(unfinished, path)
    return path
