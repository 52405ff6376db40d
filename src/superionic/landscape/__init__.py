"""The frozen-framework potential-energy landscape of one mobile ion."""
