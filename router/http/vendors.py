"""Vendors and what they may do: for administrators of the platform."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Path, Response, status
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from router import capabilities, listing
from router.databases import DbTarget
from router.errors import Refused
from router.http.api import Api
from router.http.callers import REPLAYED, build_admin
from router.http.pages import After, Limit, Page, parse_cursor, to_page
from router.http.problems import PROBLEMS, InvalidField, ProblemRoute
from router.ids import VendorId
from router.json_values import Phone, storable_text
from router.phones import parse_msisdn
from router.vendors import IsolationLevel, get_vendor


def _text(value: object) -> object:
    if value is not None and not isinstance(value, str):
        raise ValueError("write a time as 2027-01-01T00:00:00+03:00")
    return value


When = Annotated[AwareDatetime | None, BeforeValidator(_text)]  # pydantic would take a number of seconds
Name = Annotated[str, Field(min_length=1, max_length=80)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
AlertPhone = Annotated[str, Field(max_length=32), AfterValidator(parse_msisdn)] | None


class VendorOut(BaseModel):
    """Who sells here; where its data lives is not told. `alert_phone` is told on WhatsApp of paid orders; null: nobody is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "c7af4716-f9ab-465d-9afb-f1047bf37a40",
                    "name": "Mama Duka",
                    "isolation_level": "shared",
                    "language": "en",
                    "alert_phone": "254712345678",
                    "created_at": "2026-11-20T09:30:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    isolation_level: str
    language: str
    alert_phone: str | None
    created_at: datetime


class VendorIn(BaseModel):
    """A new vendor, which may do nothing yet. Give an `id` to repeat this safely. `db_target` is for `dedicated_db`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"id": "c7af4716-f9ab-465d-9afb-f1047bf37a41", "name": "Duka la Amani", "language": "sw"},
                {
                    "name": "ACME Enterprise",
                    "isolation_level": "dedicated_db",
                    "db_target": {
                        "type": "postgres",
                        "host": "acme-db.internal",
                        "port": 5432,
                        "database": "tenant_acme",
                        "user": "tenant_acme",
                        "passwordSecretRef": "vault:secret/soko/acme#password",
                    },
                },
            ]
        },
    )

    id: UUID | None = None
    name: Name
    language: Language = "en"
    alert_phone: AlertPhone = None
    isolation_level: IsolationLevel = IsolationLevel.SHARED
    db_target: DbTarget | None = None

    @model_validator(mode="after")
    def _dedicated_has_target(self) -> Self:
        if (self.isolation_level is IsolationLevel.DEDICATED_DB) != (self.db_target is not None):
            raise ValueError("a dedicated_db vendor has a db_target, and a shared one has none")
        return self


class VendorChange(BaseModel):
    """What is not given stays; `alert_phone: null` ends the alerts. Where its data lives is changed by `soko vendor move`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Duka la Amani 2", "alert_phone": "0712345678"}]}
    )

    name: Name | None = None
    language: Language | None = None
    alert_phone: AlertPhone = None


class GrantIn(BaseModel):
    """On or off, from when, until when, and how often a Nairobi day; null binds it to nothing."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"enabled": True, "valid_until": "2027-01-01T00:00:00+03:00", "most_a_day": 500}]},
    )

    enabled: Annotated[bool, Field(strict=True)]
    valid_from: When = None
    valid_until: When = None
    most_a_day: Annotated[int | None, Field(strict=True, ge=1, le=1_000_000)] = None

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.valid_from is not None and self.valid_until is not None and self.valid_from >= self.valid_until:
            raise ValueError("valid_from is before valid_until")
        return self


class CapabilityOut(BaseModel):
    """One grant of a vendor; one that is not listed is off. `denied`: how often it was refused in the last 30 days."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "capability_key": "commerce.orders",
                    "enabled": True,
                    "valid_from": None,
                    "valid_until": "2027-01-01T00:00:00Z",
                    "most_a_day": 500,
                    "denied": 0,
                }
            ]
        }
    )

    capability_key: str
    enabled: bool
    valid_from: datetime | None
    valid_until: datetime | None
    most_a_day: int | None
    denied: int


class CapabilitiesOut(BaseModel):
    """What a vendor was ever granted, or asked for in vain."""

    items: list[CapabilityOut]


CapabilityKey = Annotated[str, Path(max_length=64, pattern=r"^[a-z_]+\.[a-z_]+$", examples=["commerce.orders"])]


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    admin = Depends(build_admin(api))
    routes = APIRouter(tags=["admin"], route_class=ProblemRoute, responses=PROBLEMS, dependencies=[admin])

    @routes.get("/vendors")
    def list_vendors(limit: Limit = 50, after: After = None) -> Page[VendorOut]:
        """List vendors, the oldest first."""
        rows = listing.list_vendors(api.databases, after=parse_cursor(after), limit=limit)
        return to_page([VendorOut(**row) for row in rows], [(row["created_at"], row["id"]) for row in rows], limit)

    @routes.post("/vendors", status_code=status.HTTP_201_CREATED)
    def create_vendor(body: VendorIn, response: Response) -> VendorOut:
        """Make a vendor. One with a database of its own is provisioned next: `soko vendor provision ID`."""
        target = None if body.db_target is None else body.db_target.model_dump_json(by_alias=True, exclude_none=True)
        values = {
            "id": body.id or uuid4(),
            "name": storable_text(body.name),
            "language": body.language,
            "alert_phone": body.alert_phone and Phone(body.alert_phone),
            "isolation_level": body.isolation_level,
            "db_target": target and storable_text(target),
        }
        row, made = listing.create_vendor(api.databases, values)
        response.headers["Location"] = f"/vendors/{row['id']}"
        if not made:
            response.headers[REPLAYED] = "true"
        return VendorOut(**row)

    @routes.get("/vendors/{vendor_id}")
    def get_one(vendor_id: UUID) -> VendorOut:
        """Return one vendor."""
        row = listing.find_vendor(api.databases, VendorId(vendor_id))
        if row is None:
            raise Refused("unknown_vendor", f"there is no vendor {vendor_id}")
        return VendorOut(**row)

    @routes.patch("/vendors/{vendor_id}")
    def change_vendor(vendor_id: UUID, body: VendorChange) -> VendorOut:
        """Change a vendor's name, the language its new customers are greeted in, or who is told of paid orders.

        It is so everywhere within two seconds.
        """
        changes = body.model_dump(exclude_unset=True)
        changes |= {"name": storable_text(body.name)} if body.name else {}
        row = listing.change_vendor(api.databases, VendorId(vendor_id), changes)
        if row is None:
            raise Refused("unknown_vendor", f"there is no vendor {vendor_id}")
        return VendorOut(**row)

    @routes.get("/vendors/{vendor_id}/capabilities")
    def list_capabilities(vendor_id: UUID) -> CapabilitiesOut:
        """List what a vendor may do."""
        vendor = get_vendor(api.databases, VendorId(vendor_id))
        rows = listing.list_capabilities(api.databases, vendor.id)
        return CapabilitiesOut(items=[CapabilityOut(**row) for row in rows])

    @routes.put("/vendors/{vendor_id}/capabilities/{capability}")
    def put_capability(vendor_id: UUID, capability: CapabilityKey, body: GrantIn) -> CapabilityOut:
        """Grant a capability, or take it away; it is so everywhere within two seconds."""
        if body.most_a_day is not None and capability not in capabilities.COUNTED:
            raise InvalidField("most_a_day", f"only {' and '.join(capabilities.COUNTED)} are counted")
        vendor = get_vendor(api.databases, VendorId(vendor_id))
        listing.set_capability(api.databases, vendor.id, capability, body.model_dump())
        rows = listing.list_capabilities(api.databases, vendor.id)
        return next(CapabilityOut(**row) for row in rows if row["capability_key"] == capability)

    return routes
