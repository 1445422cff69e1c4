// @alicloud/openapi-core as a speaker: the generic call, with the lists flattened as generated clients do it.
const { default: Client, $OpenApiUtil, OpenApiUtil } = require("@alicloud/openapi-core");
const { RuntimeOptions } = require("@darabonba/typescript");
const serve = require("./lines.js");

async function call(endpoint, { action, params, key, secret }) {
  const client = new Client(new $OpenApiUtil.Config({ accessKeyId: key, accessKeySecret: secret, endpoint, protocol: "http" }));
  const way = new $OpenApiUtil.Params({
    action, version: "2016-11-01", style: "RPC", protocol: "HTTP", method: "POST",
    pathname: "/", authType: "AK", reqBodyType: "formData", bodyType: "json",
  });
  const answer = await client.callApi(way, new $OpenApiUtil.OpenApiRequest({ query: OpenApiUtil.query(params) }), new RuntimeOptions({}));
  return answer.body;
}

serve(call, (error) => error.code && { code: error.code, status: error.statusCode ?? 0, message: error.message });
