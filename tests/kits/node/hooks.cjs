// For runners with hooks: a server for each test file, clean for each test.
'use strict';

const { start } = require('./program.cjs');

/** An object that is the server as soon as `current` has it. */
function standIn(current) {
  const server = () => {
    const cloud = current();
    if (!cloud) throw new Error('the server runs while tests run: use it inside of a test or a hook');
    return cloud;
  };
  return new Proxy(
    {},
    {
      get(_, name) {
        const cloud = server();
        const value = cloud[name];
        return typeof value === 'function' ? value.bind(cloud) : value;
      },
    },
  );
}

function useLocalyun({ before, beforeEach, after }, settings) {
  let cloud;
  before(async () => {
    cloud = await start(settings);
  });
  beforeEach(() => cloud.reset());
  after(async () => {
    await cloud?.stop();
    cloud = undefined;
  });
  return standIn(() => cloud);
}

module.exports = { useLocalyun };
