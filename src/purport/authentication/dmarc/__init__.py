"""DMARC (RFC 9989): may this message name its author's domain, and what does the domain's owner want done if not?"""
