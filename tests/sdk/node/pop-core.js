// @alicloud/pop-core as a speaker. It flattens lists by itself and calls any action by its name.
const Core = require("@alicloud/pop-core");
const serve = require("./lines.js");

function call(endpoint, { action, params, key, secret }) {
  const client = new Core({ accessKeyId: key, accessKeySecret: secret, endpoint: `http://${endpoint}`, apiVersion: "2016-11-01" });
  return client.request(action, params, { method: "POST" });
}

serve(call, (error) => error.data && { code: error.code, status: error.entry?.response?.statusCode ?? 0, message: error.message });
