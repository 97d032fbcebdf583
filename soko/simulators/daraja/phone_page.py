"""A phone in the browser: the M-Pesa prompt with its PIN, and the M-Pesa menu to pay by hand."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>M-Pesa phone</title>
<style>
  body { font: 16px system-ui; max-width: 26em; margin: 2em auto; padding: 0 1em; color: #1b1b1b }
  section { border: 1px solid #bbb; border-radius: 12px; padding: 1em; margin: 1em 0 }
  label { display: block; margin: .5em 0 } input { font: inherit; width: 100%; box-sizing: border-box }
  button { font: inherit; padding: .4em 1em; margin: .3em .3em 0 0 } small { color: #555 }
</style>
<h1>Phone</h1>
<label>Number <input id="phone" value="254700000001"></label>
<small>While this page is open, prompts to this number wait for you. Close it, and say so:
  <button id="alone">let it pay by itself</button></small>
<section><h2>Prompt</h2><p id="prompt">No prompt.</p>
  <form id="pin" hidden><label>PIN <input id="digits" type="password" inputmode="numeric" autocomplete="off"></label>
    <button>OK</button><button type="button" id="cancel">Cancel</button><br><small>0000 is a wrong PIN.</small></form></section>
<section><h2>Lipa na M-Pesa</h2><form id="pay">
  <label>Paybill or till <input id="paybill" value="174379"></label>
  <label>Account <input id="account" placeholder="S0001"></label>
  <label>Amount, KES <input id="amount" type="number" min="1"></label><button>Pay</button></form></section>
<ul id="told"></ul>
<script>
  const $ = id => document.getElementById(id)
  const call = (method, path, body) => fetch('/sim' + path, {method, body: body && JSON.stringify(body),
    headers: {'Content-Type': 'application/json'}})
    .then(answer => answer.json().then(told => answer.ok ? told : Promise.reject(told)))
  const tell = words => $('told').prepend(Object.assign(document.createElement('li'), {textContent: words}))
  const phone = () => encodeURIComponent($('phone').value)
  const waits = () => call('PUT', `/phones/${phone()}`, {outcome: 'ask'})
  const look = () => call('GET', `/pushes?phone=${phone()}`).then(pushes => {
    const open = pushes.find(each => each.outcome === 'pending')
    $('pin').hidden = !open
    $('prompt').textContent = open
      ? `Pay KES ${open.amount} to ${open.party_b}, account ${open.account_reference}?` : 'No prompt.' }).catch(() => {})
  $('phone').onchange = waits
  $('alone').onclick = () => call('PUT', `/phones/${phone()}`, {}).then(() => tell('This phone now pays by itself.'))
  $('pin').onsubmit = event => { event.preventDefault()
    call('POST', `/phones/${phone()}/pin`, {wrong: $('digits').value === '0000'})
      .then(done => tell(done.receipt ? `Paid KES ${done.amount}. ${done.receipt}` : 'The PIN was wrong.'))
      .catch(error => tell(error.detail)); $('digits').value = '' }
  $('cancel').onclick = () => call('POST', `/phones/${phone()}/cancel`)
    .then(() => tell('Cancelled.')).catch(error => tell(error.detail))
  $('pay').onsubmit = event => { event.preventDefault()
    call('POST', '/pay', {phone: $('phone').value, paybill: $('paybill').value, account: $('account').value,
      amount: +$('amount').value})
      .then(done => tell(done.paid ? `Paid by hand. ${done.receipt}` : 'The shop does not take this payment.'))
      .catch(error => tell(JSON.stringify(error.detail))) }
  waits().then(look); setInterval(look, 1000)
</script></html>
"""


def build_phone_page() -> APIRouter:
    """Make the page at /phone."""
    routes = APIRouter()

    @routes.get("/phone")
    def show() -> HTMLResponse:
        return HTMLResponse(PAGE)

    return routes
