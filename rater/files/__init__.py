"""What people and switches have, in and out: usage exports, price lists, licences; exports."""
