"""What the template lets each function do, and how it is run: written here a second time, on purpose."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from functions.shared.settings import (
    AlertSettings,
    KeySettings,
    LimitSettings,
    QueueSettings,
    SeriesSettings,
    StoreSettings,
)
from functions.shared.settings.privacy import PrivacySettings
from infra.nats.event_source.settings import EventSourceSettings
from tests.support.template import functions, resources, template

SQS = "QueueIsSqs"
READ = ("secretsmanager:GetSecretValue", "ssm:GetParameter")
NATS_URL = ("HasNatsSecret", READ, "NatsUrlSecret")
LIMITS_URL = ("HasLimitsSecret", READ, "LimitsUrlSecret")
CLICKHOUSE_PASSWORD = ("HasClickhouseSecret", READ, "ClickhousePasswordSecret")
QUESTDB_PASSWORD = ("HasQuestdbSecret", READ, "QuestdbPasswordSecret")
PRIVACY = ("HasPrivacySecret", READ, "PrivacySecret")
ALERT_WEBHOOK = ("HasAlertWebhook", READ, "AlertWebhookSecret")
KEYS = ("HasKeysSecret", READ, "KeysSecret")
SECRETS_KEY = ("HasSecretsKey", ("kms:Decrypt",), "SecretsKeyArn")
# Beside these SAM lets each function write its log, take part in traces, and be in a VPC where there is one.
ALLOWED = {
    "collect": [
        ("", ("lambda:InvokeFunction",), "EnrichFunction.Arn"),
        (SQS, ("sqs:SendMessage", "sqs:GetQueueAttributes"), "EventQueue.Arn"),
        NATS_URL,
        LIMITS_URL,
        CLICKHOUSE_PASSWORD,
        KEYS,
        SECRETS_KEY,
    ],
    "enrich": [
        (SQS, ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), "EventQueue.Arn"),
        CLICKHOUSE_PASSWORD,
        PRIVACY,
        SECRETS_KEY,
    ],
    "measure": [
        NATS_URL,
        CLICKHOUSE_PASSWORD,
        PRIVACY,
        QUESTDB_PASSWORD,
        SECRETS_KEY,
        ALERT_WEBHOOK,
        ("", ("sns:Publish",), "AlertTopic"),
        (SQS, ("sqs:GetQueueAttributes",), "EventQueue.Arn"),
        (SQS, ("sqs:GetQueueAttributes",), "DeadLetterQueue.Arn"),
        (SQS, ("sqs:ReceiveMessage", "sqs:DeleteMessage"), "DeadLetterQueue.Arn"),
        (SQS, ("sqs:SendMessage",), "EventQueue.Arn"),
    ],
    "drain": [NATS_URL, CLICKHOUSE_PASSWORD, PRIVACY, SECRETS_KEY],
    "serve": [
        NATS_URL,
        LIMITS_URL,
        CLICKHOUSE_PASSWORD,
        PRIVACY,
        QUESTDB_PASSWORD,
        KEYS,
        SECRETS_KEY,
        (SQS, ("sqs:GetQueueAttributes",), "EventQueue.Arn"),
        (SQS, ("sqs:GetQueueAttributes",), "DeadLetterQueue.Arn"),
    ],
}
SECRETS = {
    "WEIR_NATS_URL_SECRET": NATS_URL,
    "WEIR_LIMITS_URL_SECRET": LIMITS_URL,
    "WEIR_CLICKHOUSE_PASSWORD_SECRET": CLICKHOUSE_PASSWORD,
    "WEIR_QUESTDB_PASSWORD_SECRET": QUESTDB_PASSWORD,
    "WEIR_ALERTS_WEBHOOK_URL_SECRET": ALERT_WEBHOOK,
    "WEIR_PRIVACY_SECRET_SECRET": PRIVACY,
}
# Of those a second run beside the first would be in the way.
ALONE = {"drain", "measure"}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def name(resource: Any) -> str:
    """`EventQueue.Arn` of a GetAtt, a parameter's name of a Ref, else what is written."""
    return next(iter(resource.values())) if isinstance(resource, dict) else str(resource)


def statements(policies: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each statement, under the condition on which it stands."""
    for policy in policies:
        condition, given, otherwise = policy.get("Fn::If", ("", policy, None))
        assert otherwise in (None, {"Ref": "AWS::NoValue"})
        assert set(given) == {"Statement"}, "a policy template of SAM's may allow more than it says"
        for statement in given["Statement"]:
            yield condition, statement


def allowed(policies: list[Any]) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (condition, tuple(listed(statement["Action"])), name(resource))
        for condition, statement in statements(policies)
        for resource in listed(statement["Resource"])
    ]


def test_each_function_may_do_what_it_does_and_no_more() -> None:
    assert {stage: allowed(given.get("Policies", [])) for stage, given in functions().items()} == ALLOWED


def test_nothing_is_allowed_on_everything() -> None:
    for stage, given in functions().items():
        for _, statement in statements(given.get("Policies", [])):
            assert statement["Effect"] == "Allow"
            assert "*" not in repr(statement), stage


@pytest.mark.parametrize("stage", ALLOWED)
def test_a_function_is_told_of_the_secrets_that_it_may_read(stage: str) -> None:
    variables = functions()[stage]["Environment"]["Variables"]
    told = {variable for variable in variables if variable.endswith("_SECRET")}
    assert told == {variable for variable, policy in SECRETS.items() if policy in ALLOWED[stage]}


def test_no_secret_is_a_parameter_or_a_variable() -> None:
    assert not any(given.get("NoEcho") for given in template()["Parameters"].values())
    everywhere = dict(template()["Globals"]["Function"]["Environment"]["Variables"])
    for given in functions().values():
        everywhere |= given.get("Environment", {}).get("Variables", {})
    assert not [variable for variable in everywhere if variable.endswith(("PASSWORD", "TOKEN", "KEY"))]


def test_no_address_is_a_parameter_with_a_password_in_it() -> None:
    urls = {name: given for name, given in template()["Parameters"].items() if name.endswith("Url")}
    assert {"NatsUrl", "ClickhouseUrl", "QuestdbUrl", "LimitsUrl"} <= urls.keys()
    for name, given in urls.items():
        pattern = re.compile(given["AllowedPattern"])
        assert pattern.fullmatch(given["Default"]), name
        assert pattern.fullmatch("nats://a.internal:4222,nats://b.internal:4222"), name
        for secret in ("redis://:word@host:6379", "http://user:word@host", "token@host", "redis://host?password=word"):
            assert not pattern.fullmatch(secret), name
        (instead,) = re.findall(r"by (?:\w+ and )?(\w+Secret)\.$", given["ConstraintDescription"])
        assert instead in template()["Parameters"]


def test_what_is_not_shown_of_the_settings_can_be_given_by_reference() -> None:
    hidden = {
        f"WEIR_{name.upper()}"
        for model in (
            QueueSettings,
            StoreSettings,
            SeriesSettings,
            KeySettings,
            LimitSettings,
            AlertSettings,
            PrivacySettings,
        )
        for name, field in model.model_fields.items()
        if not field.repr
    }
    # The keys have a reference of their own, and the document is for `sam local`.
    assert hidden - {"WEIR_KEYS_DOCUMENT"} == {variable.removesuffix("_SECRET") for variable in SECRETS}


def test_a_reference_is_an_arn_or_nothing() -> None:
    references = [name for name in template()["Parameters"] if name.endswith("Secret")]
    assert len(references) == 7
    for parameter in references:
        pattern = re.compile(template()["Parameters"][parameter]["AllowedPattern"])
        assert pattern.fullmatch("")
        assert pattern.fullmatch("arn:aws:ssm:eu-west-1:123456789012:parameter/weir/nats")
        assert pattern.fullmatch("arn:aws-us-gov:secretsmanager:us-gov-west-1:1:secret:weir-AbCdEf")
        assert not pattern.fullmatch("hunter2")
        assert not pattern.fullmatch("nats://user:word@broker:4222")


def test_only_what_may_not_overlap_is_kept_to_one_run_and_its_missed_ticks_are_dropped() -> None:
    assert {stage for stage, given in functions().items() if "ReservedConcurrentExecutions" in given} == ALONE
    for stage in ALONE:
        assert functions()[stage]["ReservedConcurrentExecutions"] == {
            "Fn::If": ["Reserves", 1, {"Ref": "AWS::NoValue"}]
        }
        assert functions()[stage]["EventInvokeConfig"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}


@pytest.mark.parametrize("stage", ALLOWED)
def test_each_function_logs_to_a_group_that_forgets(stage: str) -> None:
    group = resources("AWS::Logs::LogGroup")[functions()[stage]["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]
    assert group["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/${{AWS::StackName}}-{stage}"}
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_each_function_is_traced_and_ends_in_time() -> None:
    shared = template()["Globals"]["Function"]
    assert shared["Tracing"] == {"Fn::If": ["Traced", "Active", "PassThrough"]}
    seconds = {stage: given.get("Timeout", shared["Timeout"]) for stage, given in functions().items()}
    queue = resources("AWS::SQS::Queue")["EventQueue"]["Properties"]
    # The gateway waits no longer; a message that is still worked on must not be handed out again.
    assert max(seconds["collect"], seconds["serve"]) <= 29
    assert max(seconds["enrich"], seconds["drain"]) < queue["VisibilityTimeout"]


def test_the_gateway_lets_through_so_many_requests_and_says_429_to_the_rest() -> None:
    api = resources("AWS::Serverless::Api")["WeirApi"]["Properties"]
    assert api["MethodSettings"] == [
        {
            "HttpMethod": "*",
            "ResourcePath": "/*",
            "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
            "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
        }
    ]
    assert api["GatewayResponses"]["THROTTLED"]["StatusCode"] == 429


def test_a_deployment_without_the_engines_addresses_is_refused() -> None:
    told = [rule["AssertDescription"] for each in template()["Rules"].values() for rule in each["Assertions"]]
    assert [text.split()[0].rstrip(":") for text in told] == [
        "ClickhouseUrl",
        "QuestdbUrl",
        "NatsUrl",
        "KeysSecret",
        "Queue=nats",
        "KeysPath",
        "EventSourceImage",
        "SubnetIds",
        "SecurityGroupIds",
        "CertificateArn",
    ]


CONTAINER = {"Environment": "local", "Keys": "nats", "EventSource": "container", "EventSourceImage": "weir:1"}
IN_VPC = {"SubnetIds": ["subnet-a", "subnet-b"], "SecurityGroupIds": ["sg-weir"]}


def holds(condition: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether a rule's condition is true of these parameters."""
    ((function, asked),) = condition.items()
    if function in ("Fn::Equals", "Fn::EachMemberEquals"):
        left, right = (given[one["Ref"]] if isinstance(one, dict) else one for one in asked)
        return bool(left == right if function == "Fn::Equals" else all(one == right for one in left))
    all_of = [holds(one, given) for one in asked]
    return {"Fn::Not": not all_of[0], "Fn::And": all(all_of), "Fn::Or": any(all_of)}[function]


def refused(**parameters: Any) -> list[str]:
    """What the rules say against a deployment with these parameters; a list is CloudFormation's of one empty text."""
    given = {
        name: one.get("Default", "").split(",") if one["Type"] == "CommaDelimitedList" else str(one.get("Default"))
        for name, one in template()["Parameters"].items()
    } | parameters
    applied = [one for one in template()["Rules"].values() if holds(one["RuleCondition"], given)]
    said = [each for one in applied for each in one["Assertions"] if not holds(each["Assert"], given)]
    return [each["AssertDescription"].split()[0] for each in said]


def test_a_container_without_a_network_is_refused_before_anything_is_made() -> None:
    assert refused(**CONTAINER) == ["SubnetIds"]
    assert refused(**CONTAINER, **IN_VPC) == []
    assert refused(**CONTAINER | {"EventSource": "drain"}) == []


def test_subnets_without_a_security_group_are_refused() -> None:
    assert refused(**CONTAINER, SubnetIds=["subnet-a"]) == ["SecurityGroupIds"]


def test_the_queues_are_kept_encrypted_and_outlive_the_stack() -> None:
    for queue in resources("AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        assert (queue["DeletionPolicy"], queue["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_event_source_is_a_container_only_where_it_is_asked_for() -> None:
    assert template()["Parameters"]["EventSource"]["Default"] == "drain"
    kinds = ("AWS::ECS::Cluster", "AWS::ECS::TaskDefinition", "AWS::ECS::Service", "AWS::IAM::Role")
    made = [one for kind in kinds for one in resources(kind).values()]
    assert len(made) == 5
    assert {one["Condition"] for one in made} == {"RunsContainer"}


def test_the_container_invokes_enrich_and_may_do_no_more() -> None:
    (task,) = [one["Properties"] for one in resources("AWS::ECS::TaskDefinition").values()]
    (container,) = task["ContainerDefinitions"]
    told = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    assert told["WEIR_ENRICH_FUNCTION"] == {"Ref": "EnrichFunction"}
    assert container["ReadonlyRootFilesystem"] is True
    assert task["TaskRoleArn"] == {"Fn::GetAtt": "EventSourceRole.Arn"}
    policies = resources("AWS::IAM::Role")["EventSourceRole"]["Properties"]["Policies"]
    given = [policy.get("Fn::If", ("", policy))[:2] for policy in policies]
    allowed_to = [
        (condition, tuple(listed(statement["Action"])), name(statement["Resource"]))
        for condition, policy in given
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert allowed_to == [("", ("lambda:InvokeFunction",), "EnrichFunction.Arn"), NATS_URL, SECRETS_KEY]


def test_the_containers_settings_are_those_that_the_event_source_reads() -> None:
    (task,) = [one["Properties"] for one in resources("AWS::ECS::TaskDefinition").values()]
    told = {variable["Name"] for variable in task["ContainerDefinitions"][0]["Environment"]}
    read = {f"WEIR_{field.upper()}" for field in EventSourceSettings.model_fields}
    assert {variable.removesuffix("_SECRET") for variable in told} - {"AWS_DEFAULT_REGION"} <= read
