// What differs between two snapshots: things that came, went, or changed, by what names them.

const NAMES = ['domain', 'app', 'stream', 'name', 'bucket', 'key'];

/** Several rows may have one name. */
function named(row) {
  if (row.id !== undefined) return String(row.id);
  return NAMES.map((name) => row[name]).filter(Boolean).join('/') || JSON.stringify(row);
}

/** The rows that are not among the others; a row that comes more often counts so often. */
function without(rows, others) {
  const left = new Map();
  for (const text of others.map((row) => JSON.stringify(row))) left.set(text, (left.get(text) ?? 0) + 1);
  return rows.filter((row) => {
    const text = JSON.stringify(row);
    const count = left.get(text) ?? 0;
    left.set(text, count - 1);
    return count <= 0;
  });
}

export function differences(before, after) {
  const found = [];
  for (const part of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [one, two] = [before[part], after[part]];
    if (!Array.isArray(one ?? []) || !Array.isArray(two ?? [])) {
      if (JSON.stringify(one) !== JSON.stringify(two)) found.push({ part, name: '', how: 'changed', from: one, to: two });
      continue;
    }
    const old = without(one ?? [], two ?? []);
    for (const row of without(two ?? [], one ?? [])) {
      const name = named(row);
      const at = old.findIndex((it) => named(it) === name);
      if (at < 0) found.push({ part, name, how: 'added', to: row });
      else found.push({ part, name, how: 'changed', from: old.splice(at, 1)[0], to: row });
    }
    for (const row of old) found.push({ part, name: named(row), how: 'removed', from: row });
  }
  return found;
}
