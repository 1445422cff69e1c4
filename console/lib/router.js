// Addresses of things: `#/streams/DOMAIN/APP/STREAM?tab=x`. An app's name may hold slashes, so parts are percent-encoded.

export function link(parts, query = {}) {
  const path = parts.map((part) => encodeURIComponent(part)).join('/');
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== null);
  return `#/${path}${set.length ? `?${new URLSearchParams(set)}` : ''}`;
}

export function here() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const decode = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  return { parts: path.split('/').filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

export function go(parts, query) {
  location.hash = link(parts, query);
}

// The same view under another query: no new entry in the history for each letter of a filter.
export function requery(query) {
  const { parts } = here();
  history.replaceState(null, '', link(parts, query));
}
