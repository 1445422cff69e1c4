// Snapshots by name, in this browser (IndexedDB): as many as it has room for.

const open = () => new Promise((resolve, reject) => {
  const asked = indexedDB.open('localyun', 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore('snapshots', { keyPath: 'name' });
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function work(mode, make) {
  const base = await open();
  try {
    return await new Promise((resolve, reject) => {
      const asked = make(base.transaction('snapshots', mode).objectStore('snapshots'));
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  } finally {
    base.close();
  }
}

export const all = () => work('readonly', (store) => store.getAll());
export const find = (name) => work('readonly', (store) => store.get(name));
export const keep = (name, at, text) => work('readwrite', (store) => store.put({ name, at, text }));
export const drop = (name) => work('readwrite', (store) => store.delete(name));
