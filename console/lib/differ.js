// What differs between two snapshots: things that came, went, or changed, by what names them.

const NAMES = ['id', 'domain', 'name'];

function named(part, row) {
  if (part === 'rules') return `${row.domain}/${row.app}/${row.stream}`;
  const own = NAMES.find((name) => row[name] !== undefined);
  return own ? String(row[own]) : JSON.stringify(row);
}

export function differences(before, after) {
  const found = [];
  for (const part of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [one, two] = [before[part], after[part]];
    if (!Array.isArray(one ?? []) || !Array.isArray(two ?? [])) {
      if (JSON.stringify(one) !== JSON.stringify(two)) found.push({ part, name: '', how: 'changed', from: one, to: two });
      continue;
    }
    const old = new Map((one ?? []).map((row) => [named(part, row), row]));
    for (const row of two ?? []) {
      const name = named(part, row);
      const was = old.get(name);
      old.delete(name);
      if (was === undefined) found.push({ part, name, how: 'added', to: row });
      else if (JSON.stringify(was) !== JSON.stringify(row)) found.push({ part, name, how: 'changed', from: was, to: row });
    }
    for (const [name, row] of old) found.push({ part, name, how: 'removed', from: row });
  }
  return found;
}
