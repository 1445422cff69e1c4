// What is known of the running service for as long as the page is open: its addresses, its key, its clock.

import * as api from './api.js';

export const service = { health: null, config: null, clock: null, readAt: 0 };
const listeners = new Set();

export const onService = (listen) => {
  listeners.add(listen);
  return () => listeners.delete(listen);
};

const tell = () => listeners.forEach((listen) => listen());

// Whether the parts of the service answer. Where one does not (503) the addresses stay those that are known; a server that does not answer
// at all says nothing about its parts.
export async function readHealth() {
  service.health = await api.get('health').catch((error) => {
    if (error instanceof api.Refused) return { ...service.health, status: 'degraded' };
    throw error;
  });
}

export async function readService() {
  const [config, clock] = await Promise.all([api.get('config'), api.get('clock'), readHealth()]);
  service.config = config;
  await readClock(clock);
}

export async function readClock(known) {
  service.clock = known ?? (await api.get('clock'));
  service.readAt = performance.now();
  tell();
}

// The service clock now, in milliseconds.
export function now() {
  const { clock, readAt } = service;
  if (!clock) return Date.now();
  return clock.now_ms + (clock.frozen ? 0 : performance.now() - readAt);
}

// The address of a listener as this browser reaches it: what the server says, with this page's host where the server only knows that it listens everywhere.
export function address(name) {
  const known = service.health?.[name] ?? service.config?.addresses?.[name];
  if (!known) return null;
  return known.replace(/\/\/(0\.0\.0\.0|\[::\])(?=[:/]|$)/, `//${location.hostname}`);
}

// Where the tools of the command line go by themselves.
const USUAL = 'http://127.0.0.1:8080';
// What a line of such a tool says more, so that it reaches this server.
export function endpointOption() {
  const url = address('api');
  return url && url !== USUAL ? ` --endpoint ${api.quoted(url)}` : '';
}

export const setting = (name) => service.config?.settings?.find((setting) => setting.name === name)?.value;
