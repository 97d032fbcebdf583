"""WhatsApp and Daraja as they look from here: two real HTTP servers on loopback, scripted per phone, never in production."""
