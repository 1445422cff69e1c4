// What this browser remembers: language and theme for good, the control token until the tab is closed.

function read(store, name) {
  try {
    return store.getItem(`localyun.${name}`);
  } catch {
    return null;
  }
}

function write(store, name, value) {
  try {
    if (value === null) store.removeItem(`localyun.${name}`);
    else store.setItem(`localyun.${name}`, value);
  } catch {
    // Without storage the page works and forgets.
  }
}

export const pref = (name) => read(localStorage, name);
export const setPref = (name, value) => write(localStorage, name, value);
export const token = () => read(sessionStorage, 'token');
export const setToken = (value) => write(sessionStorage, 'token', value);
