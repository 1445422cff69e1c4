// @alicloud/openapi-client as a speaker: the generic call, with the lists flattened as generated clients do it.
const OpenApi = require("@alicloud/openapi-client");
const Util = require("@alicloud/tea-util");
const OpenApiUtil = require("@alicloud/openapi-util").default;
const serve = require("./lines.js");

async function call(endpoint, { action, params, key, secret }) {
  const client = new OpenApi.default(new OpenApi.Config({ accessKeyId: key, accessKeySecret: secret, endpoint, protocol: "http" }));
  const way = new OpenApi.Params({
    action, version: "2016-11-01", style: "RPC", protocol: "HTTP", method: "POST",
    pathname: "/", authType: "AK", reqBodyType: "formData", bodyType: "json",
  });
  const answer = await client.callApi(way, new OpenApi.OpenApiRequest({ query: OpenApiUtil.query(params) }), new Util.RuntimeOptions({}));
  return answer.body;
}

serve(call, (error) => error.data && { code: error.code, status: error.data.statusCode ?? 0, message: error.message });
