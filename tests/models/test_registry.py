"""A registry: what declares itself is parsed, described and refused without being listed."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.attacks import ATTACKS, AnyAttack, Attack, TargetLabel
from models.attacks.pgd import Pgd
from models.registry import Registry, import_modules


class Shape(BaseModel):
    """Base of the toy registry's classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str


SHAPES: Registry[Shape] = Registry("shape", default="circle")
AnyShape = Annotated[Shape, SHAPES]


@SHAPES.register
class Circle(Shape):
    """Round."""

    type: Literal["circle"] = "circle"
    radius: float = Field(gt=0)


@SHAPES.register
class Group(Shape):
    """Shapes within a shape, one of them by another name in JSON."""

    type: Literal["group"] = "group"
    members: tuple[AnyShape, ...] = ()
    background: AnyShape | None = Field(None, alias="from")


class Drawing(BaseModel):
    """What holds shapes, as a request holds attacks."""

    shapes: list[AnyShape]


class Toy(Attack):
    """An attack that only this test knows."""

    type: Literal["toy"] = "toy"
    strength_of_will: int = Field(3, ge=1, description="A parameter of its own.")
    inner: AnyAttack | None = None
    feared: TargetLabel | None = None
    hoped: TargetLabel | None = None


@pytest.fixture
def toy() -> Iterator[None]:
    """The toy attack, registered while the test runs."""
    ATTACKS.register(Toy)
    yield
    ATTACKS.unregister("toy")


def refusals(value: object) -> list[tuple[str, str]]:
    """(where, why) of each fault in a drawing's shapes."""
    with pytest.raises(ValidationError) as refused:
        Drawing.model_validate({"shapes": value})
    return [(".".join(map(str, one["loc"])), one["msg"]) for one in refused.value.errors()]


def references(schema: object) -> Iterator[str]:
    """Every reference in a schema, those of discriminators among them."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value
            elif key == "mapping":
                yield from value.values()
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


class TestRegistering:
    def test_is_by_the_value_of_the_field_type(self) -> None:
        assert SHAPES["circle"] is Circle
        assert "circle" in SHAPES
        assert "square" not in SHAPES
        assert list(SHAPES) == ["circle", "group"]
        assert len(SHAPES) == 2

    def test_the_same_name_twice_is_an_error(self) -> None:
        class Other(Shape):
            type: Literal["circle"] = "circle"

        with pytest.raises(ValueError, match="two classes of shape are called 'circle'"):
            SHAPES.register(Other)
        assert SHAPES["circle"] is Circle

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"type": (str, "square")},
            {"type": (Literal["square"], ...)},
            {"type": (Literal["square", "oblong"], "square")},
        ],
        ids=["no type", "any text", "no default", "two names"],
    )
    def test_a_class_without_one_name_is_an_error(self, fields: dict[str, Any]) -> None:
        from pydantic import create_model

        wrong = create_model("Wrong", **fields)
        registry: Registry[BaseModel] = Registry("shape")
        with pytest.raises(TypeError, match="Wrong needs a field such as type: Literal"):
            registry.register(wrong)

    def test_what_was_unregistered_is_unknown(self, toy: None) -> None:
        assert "toy" in ATTACKS
        ATTACKS.unregister("toy")
        try:
            assert "toy" not in ATTACKS
            with pytest.raises(ValidationError, match="'toy' is unknown"):
                ATTACKS.parse({"type": "toy"})
        finally:
            ATTACKS.register(Toy)

    def test_a_package_declares_all_its_modules(self) -> None:
        import models.attacks

        import_modules("models.attacks", list(models.attacks.__path__))
        assert {"fgsm", "noise", "pgd"} <= set(ATTACKS)


class TestParsing:
    def test_gives_an_object_of_the_named_class(self) -> None:
        assert SHAPES.parse({"type": "circle", "radius": 2}) == Circle(radius=2)

    def test_without_a_type_gives_the_default(self) -> None:
        circle = SHAPES.parse({"radius": 2})
        assert circle == Circle(radius=2)
        assert circle.model_dump(exclude_unset=True) == {"type": "circle", "radius": 2.0}

    def test_leaves_an_object_as_it_is(self) -> None:
        circle = Circle(radius=1)
        assert SHAPES.parse(circle) is circle

    def test_leaves_what_it_is_given_as_it_was(self) -> None:
        given = {"radius": 2}
        SHAPES.parse(given)
        assert given == {"radius": 2}

    def test_of_an_unknown_type_names_those_that_there_are(self) -> None:
        assert refusals([{"type": "cube"}]) == [
            ("shapes.0.type", "'cube' is unknown: give one of circle, group")
        ]

    @pytest.mark.parametrize("name", [3, ["circle"], {"circle": 1}, "", "Circle", "circle "])
    def test_of_what_is_no_name_is_refused(self, name: object) -> None:
        ((where, why),) = refusals([{"type": name}])
        assert where == "shapes.0.type"
        assert why == f"{name!r} is unknown: give one of circle, group"

    def test_without_a_type_nor_a_default_asks_for_one(self) -> None:
        with pytest.raises(ValidationError, match="is missing: give one of") as refused:
            ATTACKS.parse({"epsilon": [0.1]})
        assert refused.value.errors()[0]["loc"] == ("type",)

    @pytest.mark.parametrize("value", [3, "circle", None, ["circle"], True])
    def test_of_what_is_no_object_is_refused(self, value: object) -> None:
        assert refusals([value]) == [
            ("shapes.0", "give an object with a type: one of circle, group")
        ]

    def test_an_object_of_another_kind_is_refused(self) -> None:
        assert refusals([TargetLabel(label="sad")])[0][0] == "shapes.0"

    @pytest.mark.parametrize("name", ["{known}", "{name}", "%s", "{"])
    def test_a_name_that_looks_like_a_placeholder_is_shown_as_it_is(self, name: str) -> None:
        ((_, why),) = refusals([{"type": name}])
        assert why == f"'{name}' is unknown: give one of circle, group"

    def test_a_long_name_is_cut(self) -> None:
        ((_, why),) = refusals([{"type": "x" * 10_000}])
        assert len(why) < 120

    def test_a_fault_is_where_it_is_and_has_no_tag(self) -> None:
        inner = [{"type": "circle", "radius": 1}, {"type": "circle", "radius": -1}]
        found = refusals(
            [{"radius": 0}, {"type": "group", "members": inner}, {"type": "group", "size": 1}]
        )
        assert [where for where, _ in found] == [
            "shapes.0.radius", "shapes.1.members.1.radius", "shapes.2.size",
        ]  # fmt: skip

    def test_from_json_takes_lists_for_tuples(self) -> None:
        adapter = TypeAdapter(list[AnyAttack])
        (attack,) = adapter.validate_json('[{"type": "pgd", "epsilon": [0.1, 1]}]')
        assert attack == Pgd(epsilon=(0.1, 1.0))


class TestSerializing:
    GROUP = Group.model_validate({"members": [{"radius": 1}], "from": {"type": "group"}})

    def test_keeps_the_parameters_of_the_class(self) -> None:
        drawing = Drawing(shapes=[Circle(radius=1)])
        assert drawing.model_dump(mode="json") == {"shapes": [{"type": "circle", "radius": 1.0}]}

    def test_goes_there_and_back(self) -> None:
        drawing = Drawing(shapes=[self.GROUP])
        for text in (
            drawing.model_dump_json(by_alias=True),
            json.dumps(drawing.model_dump(mode="json", by_alias=True)),
        ):
            assert Drawing.model_validate(json.loads(text)) == drawing
        assert Drawing.model_validate(drawing.model_dump(by_alias=True)) == drawing

    def test_obeys_what_is_asked_of_the_whole(self) -> None:
        drawing = Drawing(shapes=[Group(members=(Circle(radius=1),))])
        members = [{"type": "circle", "radius": 1.0}]
        assert drawing.model_dump(mode="json", exclude_none=True) == {
            "shapes": [{"type": "group", "members": members}]
        }
        assert drawing.model_dump(exclude_unset=True) == {
            "shapes": [{"members": ({"radius": 1.0},)}]
        }

    def test_a_request_with_attacks_is_json_that_gives_the_same_attacks(self) -> None:
        class Request(BaseModel):
            attacks: list[AnyAttack]

        given: list[dict[str, Any]] = [
            {"type": "fgsm", "epsilon": [0.02, 0.04]},
            {"type": "pgd", "epsilon": [0.02], "norm": "l2", "goal": {"label": "sad"}},
            {"type": "noise", "domain": "waveform", "snr_db": [40, 20]},
        ]
        request = Request.model_validate({"attacks": given})
        stored = request.model_dump(mode="json")
        assert json.loads(json.dumps(stored)) == stored
        assert stored["attacks"][1]["goal"] == {"label": "sad"}
        assert Request.model_validate(stored) == request

    def test_an_attack_uses_the_names_of_json_by_itself(self) -> None:
        class Borrowed(Attack):
            type: Literal["borrowed"] = "borrowed"
            source: str = Field("mine", alias="from")

        assert Borrowed().model_dump()["from"] == "mine"
        assert Borrowed().parameters()["from"] == "mine"


class TestTheSchema:
    def test_is_a_union_told_apart_by_type_of_components(self) -> None:
        schema = TypeAdapter(list[AnyShape]).json_schema()
        assert schema["items"] == {
            "oneOf": [{"$ref": "#/$defs/Circle"}, {"$ref": "#/$defs/Group"}],
            "discriminator": {
                "propertyName": "type",
                "mapping": {"circle": "#/$defs/Circle", "group": "#/$defs/Group"},
            },
        }
        assert schema["$defs"]["Circle"]["properties"]["radius"]["exclusiveMinimum"] == 0
        assert schema["$defs"]["Circle"]["properties"]["type"]["const"] == "circle"

    def test_of_a_member_that_holds_members_refers_to_the_same_components(self) -> None:
        schema = TypeAdapter(AnyShape).json_schema()
        members = schema["$defs"]["Group"]["properties"]["members"]["items"]
        assert members == {key: schema[key] for key in ("oneOf", "discriminator")}
        assert set(schema["$defs"]) == {"Circle", "Group"}

    @pytest.mark.parametrize("mode", ["validation", "serialization"])
    def test_of_attacks_has_no_reference_to_nothing(
        self, mode: Literal["validation", "serialization"], toy: None
    ) -> None:
        schema = TypeAdapter(list[AnyAttack]).json_schema(mode=mode)
        assert {"#/$defs/" + name for name in schema["$defs"]} == set(references(schema))
        assert set(schema["items"]["discriminator"]["mapping"]) == set(ATTACKS)

    def test_of_strengths_says_how_many_and_how_large(self) -> None:
        schema = TypeAdapter(list[AnyAttack]).json_schema()
        epsilon = schema["$defs"]["Pgd"]["properties"]["epsilon"]
        (numbers,) = [one for one in epsilon["anyOf"] if one["type"] == "array"]
        assert (numbers["minItems"], numbers["maxItems"]) == (1, 32)
        assert numbers["items"] == {"type": "number", "minimum": 0}

    def test_is_of_what_is_registered_when_it_is_asked_for(self, toy: None) -> None:
        adapter = TypeAdapter(list[AnyAttack])
        assert "Toy" in adapter.json_schema()["$defs"]
        ATTACKS.unregister("toy")
        try:
            assert "Toy" not in adapter.json_schema()["$defs"]
        finally:
            ATTACKS.register(Toy)

    def test_of_each_attack_is_one_that_json_schema_accepts(self) -> None:
        """The descriptions reach the schema, and so the documentation."""
        schema = TypeAdapter(list[AnyAttack]).json_schema()
        for name in ATTACKS:
            component = schema["$defs"][ATTACKS[name].__name__]
            assert component["description"]
            assert component["additionalProperties"] is False
            undescribed = [
                field
                for field, part in component["properties"].items()
                if field != "type" and "description" not in part
            ]
            assert undescribed == []


class TestOverHttp:
    """In FastAPI, which makes the components of requests and of answers by itself."""

    @pytest.fixture
    def app(self, toy: None) -> Any:
        fastapi = pytest.importorskip("fastapi")

        class Request(BaseModel):
            attacks: list[AnyAttack] = Field(min_length=1)

        app = fastapi.FastAPI()

        def audit(request: Request) -> Request:
            return request

        def bare(attack: AnyAttack) -> list[str]:
            return [attack.type]

        app.post("/audits")(audit)
        app.post("/bare")(bare)
        return app

    def test_every_reference_of_the_document_is_a_component(self, app: Any) -> None:
        document = app.openapi()
        components = {"#/components/schemas/" + name for name in document["components"]["schemas"]}
        used = set(references(document))
        assert used <= components
        assert "#/components/schemas/Fgsm" in used

    def test_requests_and_answers_map_each_type_to_its_component(self, app: Any) -> None:
        schemas = app.openapi()["components"]["schemas"]
        for name, suffix in (("Request-Input", "-Input"), ("Request-Output", "-Output")):
            union = schemas[name]["properties"]["attacks"]["items"]
            mapping = union["discriminator"]["mapping"]
            assert set(mapping) == set(ATTACKS)
            assert sorted(mapping.values()) == sorted(one["$ref"] for one in union["oneOf"])
            for kind, reference in mapping.items():
                component = schemas[reference.removeprefix("#/components/schemas/")]
                assert component["properties"]["type"]["const"] == kind
            # one that holds attacks itself differs between the two, its parameters are its own
            toy = schemas[f"Toy{suffix}"]["properties"]
            assert toy["strength_of_will"]["minimum"] == 1

    def test_a_request_is_parsed_and_answered_with_its_parameters(self, app: Any) -> None:
        from fastapi.testclient import TestClient

        given = {"type": "toy", "epsilon": [1], "inner": {"type": "fgsm", "epsilon": [0.1]}}
        answer = TestClient(app).post("/audits", json={"attacks": [given]})
        assert answer.status_code == 200
        (toy,) = answer.json()["attacks"]
        assert (toy["epsilon"], toy["strength_of_will"]) == ([1.0], 3)
        assert (toy["inner"]["type"], toy["inner"]["epsilon"]) == ("fgsm", [0.1])

    def test_a_refusal_names_the_field_without_the_union(self, app: Any) -> None:
        from fastapi.testclient import TestClient

        attacks = [
            {"type": "pgd", "epsilon": [0.1, -1]},
            {"type": "toy", "epsilon": [1], "inner": {"type": "pgd", "steps": 0}},
            {"type": "spell"},
        ]
        answer = TestClient(app).post("/audits", json={"attacks": attacks})
        assert answer.status_code == 422
        assert [one["loc"] for one in answer.json()["detail"]] == [
            ["body", "attacks", 0, "epsilon", 1],
            ["body", "attacks", 1, "inner", "steps"],
            ["body", "attacks", 2, "type"],
        ]
