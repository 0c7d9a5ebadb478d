"""Who looks at the memory keeps nothing from happening."""

import itertools

from connectors.store import FILE_NAME, Store


def test_law_a_look_at_the_memory_does_not_keep_the_log_from_being_taken_in(tmp_path):
    with Store(tmp_path) as store:
        store.cursor.execute("SET checkpoint_threshold = '2MB'")
        store.cursor.execute("CREATE TABLE named (id BIGINT PRIMARY KEY, content VARCHAR)")
        log = tmp_path / f"{FILE_NAME}.wal"
        readers, sizes = store.readers(), []
        for nth in range(60):
            readers.pressed()
            store.begin()
            store.cursor.execute(
                "INSERT OR REPLACE INTO named SELECT range, md5((range + $nth)::VARCHAR)"
                " FROM range(3000)",
                {"nth": nth * 3000},
            )
            store.commit()
            sizes.append(log.stat().st_size if log.exists() else 0)
    assert max(sizes) < 3_000_000
    assert sum(after > before for before, after in itertools.pairwise(sizes)) > 30
