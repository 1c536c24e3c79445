-- The tables of `day.yaml`, and a day of orders. Nothing here keeps an order from being shipped twice: the flow does.
CREATE TABLE orders (
    id integer PRIMARY KEY, day date NOT NULL, sku text NOT NULL, quantity integer NOT NULL, cents integer NOT NULL
);
CREATE TABLE stock (sku text PRIMARY KEY, quantity integer NOT NULL);
CREATE TABLE shipments (order_id integer NOT NULL, at timestamptz NOT NULL DEFAULT now());

INSERT INTO stock VALUES ('pen', 100), ('ink', 100), ('press', 10);
INSERT INTO orders VALUES
    (1, '2026-11-27', 'pen', 12, 1440),
    (2, '2026-11-27', 'ink', 2, 900),
    (3, '2026-11-27', 'press', 1, 480000),
    (4, '2026-11-27', 'pen', 5, 600),
    (5, '2026-11-27', 'press', 3, 1440000),
    (6, '2026-11-28', 'ink', 1, 450);
