"""A caller of the simulated Daraja."""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

PHONE = "254712345678"
PUSH = "/mpesa/stkpush/v1/processrequest"
QUERY = "/mpesa/stkpushquery/v1/query"
Body = dict[str, Any]


class Daraja:
    """A caller of the simulator with the paybill's credentials."""

    def __init__(self, http: httpx.Client, base_url: str, clock: Callable[[], datetime], callback_url: str) -> None:
        self.http, self.base_url, self.clock, self.callback_url = http, base_url, clock, callback_url
        self.token = self.new_token()

    def new_token(self, key: str = "sim-key-1", secret: str = "sim-secret-1") -> str:
        answer = self.http.get(
            f"{self.base_url}/oauth/v1/generate", params={"grant_type": "client_credentials"}, auth=httpx.BasicAuth(key, secret)
        )
        assert answer.json()["expires_in"] == "3599"
        return str(answer.json()["access_token"])

    def signed(self, short_code: str = "174379", passkey: str = "sim-passkey-1") -> Body:
        timestamp = self.clock().astimezone(ZoneInfo("Africa/Nairobi")).strftime("%Y%m%d%H%M%S")
        password = base64.b64encode(f"{short_code}{passkey}{timestamp}".encode()).decode()
        return {"BusinessShortCode": int(short_code), "Password": password, "Timestamp": timestamp}

    def body(self, **changes: object) -> Body:
        body = {
            **self.signed(),
            "TransactionType": "CustomerPayBillOnline",
            "Amount": 150,
            "PartyA": int(PHONE),
            "PartyB": 174379,
            "PhoneNumber": int(PHONE),
            "CallBackURL": self.callback_url,
            "AccountReference": "S0001",
            "TransactionDesc": "Order S0001",
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def post(self, path: str, body: Mapping[str, object], **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.post(self.base_url + path, json=body, headers=headers, **options)

    def push(self, **changes: object) -> httpx.Response:
        return self.post(PUSH, self.body(**changes))

    def query(self, reference: str) -> httpx.Response:
        return self.post(QUERY, {**self.signed(), "CheckoutRequestID": reference})

    def script(self, scenario: object, phone: str = PHONE) -> httpx.Response:
        return self.http.put(f"{self.base_url}/sim/phones/{phone}", json=scenario)

    def pushes(self, **query: Any) -> list[Body]:
        pushes: list[Body] = self.http.get(f"{self.base_url}/sim/pushes", params={"timeout": 5, **query}).json()
        return pushes
